import type { Command } from 'commander'
import { withoutSecrets } from '../files/address.js'
import { type Inspected, inspect } from '../report/inspect.js'
import type { GeneratorRunRecord } from '../training/generator/record.js'
import type { TokenizerRunRecord } from '../training/tokenizer/record.js'
import { addExamples } from './options.js'
import { writeJson, writeTable } from './output.js'

export function define(command: Command): void {
  command
    .argument('<path>', 'a run folder, a shard folder, or weights')
    .option('--tensors', 'list every tensor of a weights file')
    .option('--json', 'write JSON to standard output')
  addExamples(command, {
    'mactok inspect runs/tiny': 'settings, progress, quality',
    'mactok inspect latents/': 'samples, shape, statistics',
    'mactok inspect model.safetensors --tensors': 'names, dtypes and shapes'
  })
  command.action(async (path: string, { tensors = false, json = false }: { tensors?: boolean; json?: boolean }) => {
    const inspected = await inspect(path)
    if (json) return writeJson(inspected)
    writeTable(rows(inspected))
    if (inspected.kind === 'weights' && tensors) {
      process.stdout.write('\n')
      writeTable(inspected.tensors.map(({ name, format, shape }) => [name, `${format} [${shape.join(', ')}]`]))
    }
  })
}

function tokenizerRows({ settled, data }: TokenizerRunRecord): [string, unknown][] {
  const { tokenizer, batch, optimizer, precision, masking, align } = settled
  const { imageSize, latentTokens, latentChannels } = tokenizer
  const aligned = [align.local && 'local', align.global && 'global'].filter(Boolean).join(' and ')
  return [
    ['images', `${data.images} from ${withoutSecrets(data.from)}, ${data.heldOut} held out`],
    ['tokenizer', `${imageSize} px to ${latentTokens} tokens of ${latentChannels} channels`],
    [
      'settings',
      `batch ${batch}, lr ${optimizer.lr}, ${precision}, masks up to ${masking.max} (${masking.semantic} semantic)`
    ],
    ['alignment', aligned || 'none']
  ]
}

function generatorRows({ settled, data }: GeneratorRunRecord): [string, unknown][] {
  const { generator, flow, batch, optimizer, precision } = settled
  const { model, width, depth, heads } = generator
  return [
    ['latents', `${data.latents} from ${data.from}`],
    ['generator', `${model}, width ${width}, depth ${depth}, ${heads} heads`],
    ['settings', `batch ${batch}, lr ${optimizer.lr}, ${precision}, ${flow.path} path, predicts ${flow.prediction}`],
    ['tokenizer', data.tokenizer ?? 'unknown']
  ]
}

function rows(inspected: Inspected): [string, unknown][] {
  switch (inspected.kind) {
    case 'run': {
      const { record, checkpoint, damaged, lastMetrics, lastEvaluation } = inspected
      const { preset, steps } = record.settled
      return [
        ['run', `${inspected.path} (${record.kind}${preset ? `, preset ${preset}` : ''})`],
        ...(record.kind === 'generator' ? generatorRows(record) : tokenizerRows(record)),
        ['checkpoint', checkpoint ? `step ${checkpoint.step} of ${steps}, ${checkpoint.folder}` : 'none yet'],
        ...damaged.map((reason): [string, unknown] => ['damaged', reason]),
        ['metrics', lastMetrics ? JSON.stringify(lastMetrics) : 'none yet'],
        ['evaluation', lastEvaluation ? JSON.stringify(lastEvaluation) : 'none yet'],
        [
          'versions',
          Object.entries(record.versions)
            .map(([name, version]) => `${name} ${version}`)
            .join(', ')
        ]
      ]
    }
    case 'shards':
      return [
        ['shards', inspected.path],
        ['samples', `${inspected.samples} in ${inspected.classes} classes`],
        [
          'latents',
          `[${inspected.sampleShape.join(', ')}] ${inspected.dtype}${inspected.moments ? ', with log-variances' : ''}${inspected.flips ? ', with mirrored images' : ''}`
        ],
        ['values', `mean ${inspected.mean.toPrecision(4)}, standard deviation ${inspected.std.toPrecision(4)}`],
        ['tokenizer', inspected.tokenizer ?? 'unknown']
      ]
    case 'weights':
      return [
        ['weights', inspected.path],
        ['layout', inspected.layout],
        ['parameters', inspected.parameters],
        ['tensors', `${inspected.tensors.length}, ${(inspected.bytes / 1e6).toFixed(1)} MB`],
        ...Object.entries(inspected.metadata)
      ]
  }
}
