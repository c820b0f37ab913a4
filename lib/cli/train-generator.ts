import type { Command } from 'commander'
import { TrainingControl } from '../training/control.js'
import type { GeneratorTraining } from '../training/generator-builder.js'
import { generatorEventNames } from '../training/generator-events.js'
import {
  type GeneratorTrainingInput,
  generatorTrainingSchema,
  resolveGeneratorTraining
} from '../training/generator-schema.js'
import { Interrupted, interruption, UsageError, usage } from './exit.js'
import {
  addComputeOptions,
  addExamples,
  addProfileOption,
  type ComputeOptions,
  type ProfileOptions,
  positiveInteger,
  prepare,
  requestProfile
} from './options.js'
import { writeJson } from './output.js'
import { ProgressLine } from './progress.js'
import { addSettings, givenSettings } from './settings.js'
import { addUiOptions, type UiOptions, withPage } from './ui.js'

interface Options extends ComputeOptions, ProfileOptions, UiOptions {
  preset?: string
  latents?: string
  tokenizer?: string
  out: string
  resume?: boolean
  stopAt?: number
  config?: string
}

export function define(command: Command): void {
  command
    .argument('[preset]', 'sit-{tiny,s,b,l,xl} or lightningdit-{tiny,s,b,l,xl,1p0b,1p6b}')
    .requiredOption('--out <folder>', 'the run folder')
    .option('--latents <folder>', 'latent shards, from `mactok encode`; a resumed run remembers them')
    .option('--tokenizer <folder>', 'the tokenizer that made them, to write grids of decoded samples')
    .option('--resume', "go on from the run folder's newest checkpoint")
    .option('--stop-at <step>', 'stop after this step with a checkpoint', positiveInteger)
  addProfileOption(command)
  addUiOptions(command)
  addComputeOptions(command)
  addSettings(command, generatorTrainingSchema, ['preset', 'flow.time'])
  command.option('--preset <name>', 'the same as the argument')
  addExamples(command, {
    'mactok train generator sit-tiny --latents latents/ --tokenizer runs/tiny --out runs/sit':
      'a small generator on a laptop',
    'mactok train generator sit-xl --latents latents/ --out runs/xl --micro-batch 64':
      "the paper's, 64 latents at a time",
    'mactok train generator --out runs/sit --resume': 'go on after an interruption'
  })
  command.action(run)
}

async function run(argument: string | undefined, options: Options & Record<string, unknown>): Promise<void> {
  const given = givenSettings(options, generatorTrainingSchema) as GeneratorTrainingInput
  const preset = argument ?? options.preset
  const settings: GeneratorTrainingInput = { ...given, ...(preset === undefined ? {} : { preset }) }
  usage(() => resolveGeneratorTraining(settings))

  const { trainGenerator } = await import('../training/generator-builder.js')
  const { readGeneratorRun } = await import('../training/generator-record.js')
  // What a resumed run is not told again stays as it was.
  const earlier = options.resume ? await usage(() => readGeneratorRun(options.out)) : null
  const latents = options.latents ?? earlier?.data.from
  const tokenizer = options.tokenizer ?? earlier?.data.tokenizerFrom ?? null
  if (latents === undefined) throw new UsageError('Expected --latents <folder>, the latent shards to train on')
  const device = await prepare(options)
  const training = usage(() =>
    trainGenerator(earlier?.config ?? {})
      .set(settings)
      .latents(latents, { tokenizer })
  )

  const { out: dir, stopAt, resume, json = false } = options
  const control = new TrainingControl()
  requestProfile(training, options)
  const stopReport = report(training, json)
  const result = await withPage(dir, options, { control, device, json, tokenizer: tokenizer ?? undefined }, () =>
    usage(() => training.run({ dir, device, stopAt, resume, control, signal: interruption() }))
  ).finally(stopReport)
  if (json) writeJson({ event: 'end', ...result })
  const { step, steps } = result
  if (result.interrupted) {
    throw new Interrupted(`Stopped at step ${step} of ${steps}; go on by: mactok train generator --out ${dir} --resume`)
  }
  if (!json) process.stdout.write(`${dir}: step ${step} of ${steps}\n`)
}

/** Shows a run's events; returns what ends the display. */
function report(training: GeneratorTraining, json: boolean): () => void {
  const line = new ProgressLine({ unit: 'latents', quiet: json, seconds: 0 })
  const say = (text: string) => !json && line.note(text)
  for (const event of generatorEventNames) {
    if (json) training.on(event, (details) => writeJson({ event, ...details }))
  }
  training
    .on('start', ({ dir, step, steps, latents, classes, parameters, device, config }) =>
      say(
        `${dir}: steps ${step} to ${steps} on ${device} (${config.precision}), ${latents} latents of ${classes} classes, ${(parameters / 1e6).toFixed(1)} M parameters`
      )
    )
    .on('step', ({ step, steps, loss, latentsPerSecond, secondsLeft }) => {
      const { total, ...terms } = loss
      const parts = Object.entries(terms).map(([name, value]) => `${name} ${value.toPrecision(3)}`)
      const text = `loss ${total?.toPrecision(3)} (${parts.join(', ')})`
      line.update({ done: step, total: steps, text, rate: latentsPerSecond, secondsLeft })
    })
    .on('grid', ({ step, file }) => say(`step ${step}: ${file}`))
    .on('checkpoint', ({ step, folder }) => say(`step ${step}: ${folder}`))
    .on('profile', ({ trace, table, text }) => say(`${text}${table}, ${trace}`))
    .on('notice', ({ message }) => say(message))
  return () => line.stop()
}
