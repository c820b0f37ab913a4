import type { Command } from 'commander'
import { InvalidArgumentError, Option } from 'commander'
import type { AblationProgress } from '../ablation/run.js'
import { ablationSchema } from '../ablation/schema.js'
import { ablationTables, armsOf } from '../ablation/tables.js'
import { parseConfig } from '../config.js'
import {
  addComputeOptions,
  addExamples,
  type ComputeOptions,
  Interrupted,
  interruption,
  positiveInteger,
  prepare,
  UsageError,
  usage,
  writeJson,
  writeTable
} from './context.js'
import { ProgressLine } from './progress.js'
import { readConfig } from './settings.js'

interface Options extends ComputeOptions {
  table: string
  config?: string
  out?: string
  arms?: string[]
  list?: boolean
  data?: string
  heldOut?: string
  steps?: number
  seeds?: number[]
}

const words = (text: string): string[] => text.split(',').map((word) => word.trim())

function seeds(text: string): number[] {
  const values = words(text).map(Number)
  if (values.some((value) => !Number.isInteger(value) || value < 0)) {
    throw new InvalidArgumentError('Expected integers from 0 on, such as 0,1,2.')
  }
  return values
}

export function define(command: Command): void {
  const tables = Object.keys(ablationTables)
  command
    .addOption(new Option('--table <name>', 'which rows').choices(tables).makeOptionMandatory())
    .option('--out <folder>', 'for the runs, the table and its plots; the same folder goes on after an interruption')
    .option('--config <file>', 'preset, settings, data, steps, seeds and probe from a YAML file; flags override')
    .option('--arms <names>', 'some of the rows, with commas between', words)
    .option('--list', 'name the rows of the table, and stop')
    .option('--data <path>', 'images to train on')
    .option('--held-out <path>', 'other images, to evaluate on')
    .option('--steps <count>', 'optimiser steps of each row', positiveInteger)
    .option('--seeds <numbers>', 'runs of each row, as 0,1,2', seeds)
  addComputeOptions(command)
  addExamples(command, {
    'mactok ablate --table components --config tiny.yaml --data photos/ --held-out others/ --out runs/components':
      'which part of the recipe does what, in miniature',
    'mactok ablate --table collapse --config collapse.yaml --out runs/collapse --arms plain,mactok': 'two of its rows',
    'mactok ablate --table mask-ratio --list': 'the rows of a table'
  })
  command.action(run)
}

async function run(options: Options): Promise<void> {
  const { table, arms, out, list, json = false } = options
  if (list) {
    listArms(table, json)
    return
  }
  if (out === undefined) throw new UsageError('Expected --out <folder>, for the runs and the table')
  const given = { ...(options.config === undefined ? {} : readConfig(options.config)) }
  for (const name of ['data', 'heldOut', 'steps', 'seeds'] as const) {
    if (options[name] !== undefined) given[name] = options[name]
  }
  const config = usage(() => parseConfig(ablationSchema, given))
  usage(() => armsOf(table, arms))
  const device = await prepare(options)
  const { runAblation } = await import('../ablation/run.js')

  const line = new ProgressLine({ unit: 'steps', quiet: json })
  const show = json
    ? ({ arm, seed, step, done, total }: AblationProgress) =>
        writeJson({ event: 'progress', arm, seed, step: step?.step ?? 0, done, total })
    : progress(line)
  const result = await usage(() =>
    runAblation(table, config, {
      ...{ out, arms, device, signal: interruption(), onProgress: show },
      onNotice: (message) => !json && line.note(message)
    })
  ).finally(() => line.stop())
  if (json) {
    const rows = result.rows.map(({ arm, runs }) => ({
      arm: arm.name,
      runs: runs.map(({ seed, values }) => ({ seed, ...values }))
    }))
    writeJson({ event: 'end', table, meanImage: result.meanImage, interrupted: result.interrupted, rows })
  }
  if (result.interrupted) throw new Interrupted('Stopped; the same command goes on')
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

/** Rate and time left over all runs; what was done before this start says nothing about either. */
function progress(line: ProgressLine): (event: AblationProgress) => void {
  const start = performance.now()
  let first: number | undefined
  return ({ arm, seed, step, features, done, total }) => {
    first ??= done
    const rate = (done - first) / ((performance.now() - start) / 1000)
    const secondsLeft = rate > 0 ? (total - done) / rate : Number.POSITIVE_INFINITY
    let state = ''
    if (step) state = `, ${step.psnr.toFixed(1)} dB, KL ${(step.loss.kl ?? 0).toPrecision(3)}`
    if (features) state = `, the teacher's features of ${features.done} of ${features.total} images`
    line.update({ done, total, rate, secondsLeft, text: `${arm}, seed ${seed}${state}` })
  }
}
