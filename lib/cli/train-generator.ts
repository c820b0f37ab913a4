import type { Command } from 'commander'
import { type GeneratorEvents, generatorEventNames } from '../training/generator/events.js'
import { type GeneratorTrainingInput, generatorTrainingSchema } from '../training/generator/schema.js'
import type { GeneratorTraining } from '../training/generator/training.js'
import { UsageError, usage } from './exit.js'
import { prepare } from './options.js'
import { givenSettings } from './settings.js'
import { addTrainingOptions, type Display, describeRun, runTraining, type TrainingOptions } from './training.js'

interface Options extends TrainingOptions {
  preset?: string
  latents?: string
  tokenizer?: string
  reference?: string
}

export function define(command: Command): void {
  command
    .argument('[preset]', 'sit-{tiny,s,b,l,xl} or lightningdit-{tiny,s,b,l,xl,1p0b,1p6b}')
    .option('--preset <name>', 'the same as the argument')
    .option('--latents <folder>', 'latent shards, from `mactok encode`; a resumed run remembers them')
    .option('--tokenizer <folder>', 'the tokenizer that made them, to write grids of decoded samples')
    .option('--reference <path>', 'real images, or statistics (.npz), to evaluate samples against; with --tokenizer')
  addTrainingOptions(command, generatorTrainingSchema, ['preset', 'flow.time'], {
    'mactok train generator sit-tiny --latents latents/ --tokenizer runs/tiny --out runs/sit':
      'a small generator on a laptop',
    'mactok train generator sit-xl --latents latents/ --out runs/xl --micro-batch 64':
      "the paper's, 64 latents at a time",
    'mactok train generator sit-tiny --latents latents/ --tokenizer runs/tiny --reference photos/ --evaluation.metrics kid,fdDinov2 --evaluation.dinov2 dinov2-small --out runs/sit':
      'with metrics of 1,000 samples over the steps',
    'mactok train generator --out runs/sit --resume': 'resume after an interruption'
  })
  command.action(run)
}

async function run(argument: string | undefined, options: Options & Record<string, unknown>): Promise<void> {
  const preset = argument ?? options.preset
  const given: GeneratorTrainingInput = givenSettings(options, generatorTrainingSchema)
  if (preset !== undefined) given.preset = preset

  const { trainGenerator } = await import('../training/generator/training.js')
  const { readGeneratorRun } = await import('../training/generator/record.js')
  // What is not given again stays as it was in the run that is resumed.
  const earlier = options.resume ? await usage(() => readGeneratorRun(options.out)) : null
  const training = describeRun(trainGenerator, earlier, given)
  const latents = options.latents ?? earlier?.data.from
  const tokenizer = options.tokenizer ?? earlier?.data.tokenizerFrom ?? null
  const reference = options.reference ?? earlier?.data.referenceFrom ?? null
  if (latents === undefined) throw new UsageError('Expected --latents <folder>, the latent shards to train on')
  usage(() => training.latents(latents, { tokenizer, reference }))
  const device = await prepare(options)
  const command = `mactok train generator --out ${options.out} --resume`
  const page = { tokenizer: tokenizer ?? undefined }
  await runTraining(training, options, { ...generatorDisplay, device, command, page })
}

const generatorDisplay: Display<GeneratorTraining> = {
  unit: 'latents',
  eventNames: generatorEventNames,
  describeData: ({ latents, classes, parameters }: GeneratorEvents['start']) =>
    `${latents} latents of ${classes} classes, ${(parameters / 1e6).toFixed(1)} M parameters`,
  report: (training, { say }) => {
    training.on('evaluation', ({ step, ...metrics }) => {
      const values = Object.entries(metrics).map(([name, value]) => `${name} ${value.toPrecision(4)}`)
      say(`step ${step}: ${values.join(', ')}`)
    })
  }
}
