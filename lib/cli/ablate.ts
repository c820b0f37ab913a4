import { type Command, Option } from 'commander'
import type { AblationProgress } from '../ablation/run.js'
import { ablationSchema } from '../ablation/schema.js'
import { ablationTables, armsOf } from '../ablation/tables.js'
import { parseConfig } from '../config.js'
import { Interrupted, interruption, UsageError, usage } from './exit.js'
import { ImageAccount } from './images.js'
import { addComputeOptions, addExamples, type ComputeOptions, prepare, words } from './options.js'
import { writeJson, writeTable } from './output.js'
import { ProgressLine } from './progress.js'
import { addSettings, givenSettings } from './settings.js'

interface Options extends ComputeOptions {
  table: string
  out?: string
  arms?: string[]
  list?: boolean
}

/** Settings that only a file can hold, or that are rarely changed: `--config`. */
const isHidden = (name: string) => /^(settings|rows|generation)(\.|$)/.test(name)

export function define(command: Command): void {
  const tables = Object.keys(ablationTables)
  command
    .addOption(new Option('--table <name>', 'the rows to run').choices(tables).makeOptionMandatory())
    .option('--out <folder>', 'for runs, table and plots; the same command resumes an interrupted one')
    .option('--arms <names>', 'only these rows, comma-separated', words)
    .option('--list', 'list the rows of the table and exit')
  addComputeOptions(command)
  addSettings(command, ablationSchema, isHidden, false)
  addExamples(command, {
    'mactok ablate --table components --config tiny.yaml --data photos/ --held-out others/ --out runs/components':
      'which part of the recipe does what, in miniature',
    'mactok ablate --table collapse --config collapse.yaml --out runs/collapse --arms plain,mactok': 'two of its rows',
    'mactok ablate --table mask-ratio --list': 'the rows of a table'
  })
  command.action(run)
}

async function run(options: Options & Record<string, unknown>): Promise<void> {
  const { table, arms, out, list, json = false } = options
  if (list) {
    listArms(table, json)
    return
  }
  if (out === undefined) throw new UsageError('Expected --out <folder>, for the runs and the table')
  const given = givenSettings(options, ablationSchema)
  const config = usage(() => parseConfig(ablationSchema, given))
  usage(() => armsOf(table, arms))
  const device = await prepare(options)
  const { runAblation } = await import('../ablation/run.js')

  const line = new ProgressLine({ unit: 'steps', quiet: json })
  const account = new ImageAccount(line)
  const onProgress = json
    ? ({ step, ...progress }: AblationProgress) => writeJson({ event: 'progress', ...progress, step: step?.step ?? 0 })
    : showProgress(line)
  const result = await usage(() =>
    runAblation(table, config, {
      out,
      arms,
      device,
      signal: interruption(),
      onProgress,
      onNotice: (message) => line.note(message),
      onBroken: account.onBroken,
      onIgnored: account.onIgnored
    })
  ).finally(() => line.stop())
  if (json) {
    const rows = result.rows.map(({ arm, runs }) => ({
      arm: arm.name,
      runs: runs.map(({ seed, values }) => ({ seed, ...values }))
    }))
    writeJson({
      event: 'end',
      table,
      meanImage: result.meanImage,
      interrupted: result.interrupted,
      rows,
      unread: account.unread
    })
  }
  if (!json) account.report()
  if (result.interrupted) throw new Interrupted('Interrupted; run the same command again to resume')
  if (json) return
  const { markdownTable } = await import('../ablation/report.js')
  process.stdout.write(
    `${markdownTable(result)}\n${out}: table.md, table.csv, table.json, and a plot for each column\n`
  )
}

function listArms(table: string, json: boolean): void {
  const arms = armsOf(table)
  if (json) writeJson(arms.map(({ name, label, paper }) => ({ name, label, paper: paper ?? null })))
  else writeTable(arms.map(({ name, label, paper }) => [name, paper ? `${label} (${paper})` : label]))
}

/** Rate and time left over all runs; steps done before this start count towards neither. */
function showProgress(line: ProgressLine): (event: AblationProgress) => void {
  const start = performance.now()
  let first: number | undefined
  return ({ arm, seed, step, features, done, total }) => {
    first ??= done
    const rate = (done - first) / ((performance.now() - start) / 1000)
    const secondsLeft = rate > 0 ? (total - done) / rate : Number.POSITIVE_INFINITY
    let state = ''
    if (step) state = `, ${step.psnr.toFixed(1)} dB, KL ${(step.loss.kl ?? 0).toPrecision(3)}`
    if (features) state = `, teacher features of ${features.done} of ${features.total} images`
    line.update({ done, total, rate, secondsLeft, text: `${arm}, seed ${seed}${state}` })
  }
}
