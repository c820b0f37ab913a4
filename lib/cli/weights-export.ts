import { type Command, Option } from 'commander'
import { exportLayouts, exportWeights } from '../interchange/export.js'
import { exportOnnx, onnxPrecisions } from '../interchange/onnx/export.js'
import { UsageError, usage } from './exit.js'
import { addExamples, addRawOption } from './options.js'
import { writeJson } from './output.js'

interface Options {
  layout: (typeof exportLayouts)[number] | 'onnx'
  out: string
  precision?: (typeof onnxPrecisions)[number]
  force?: boolean
  raw?: boolean
  json?: boolean
}

export function define(command: Command): void {
  const layouts = [...exportLayouts, 'onnx']
  command
    .argument('<folder>', 'a run folder, a checkpoint, a tokenizer or a generator')
    .addOption(new Option('--layout <name>', 'the layout to convert to').choices(layouts).makeOptionMandatory())
    .requiredOption('--out <path>', 'the .safetensors file to write; for onnx a folder')
    .addOption(
      new Option('--precision <name>', 'of weights and products of onnx (default: fp32)').choices(onnxPrecisions)
    )
    .option('--force', 'overwrite graphs of onnx')
    .option('--json', 'write JSON to standard output')
  addRawOption(command)
  addExamples(command, {
    'mactok weights export runs/sit --layout sit --out sit.safetensors': "a generator with SiT's parameter names",
    'mactok weights export runs/b128 --layout continuous-tokenizer --out b128.safetensors': "a tokenizer with MAETok's",
    'mactok weights export runs/b128 --layout onnx --out b128-onnx/ --precision fp16':
      'encoder.onnx and decoder.onnx for onnxruntime, in browsers, too'
  })
  command.action(async (folder: string, { json = false, ...options }: Options) => {
    const { layout, precision, force, ...rest } = options
    if (layout === 'onnx') return writeOnnx(folder, json, { ...rest, precision, force })
    if (precision ?? force) throw new UsageError('--precision and --force are options of --layout onnx')
    const exported = await usage(() => exportWeights(folder, { ...rest, layout }))
    if (json) return writeJson(exported)
    const { file, tensors, filled, notes } = exported
    const lines = [`${file}: ${tensors} tensors`]
    if (filled.length > 0) lines.push(`filled: ${filled.join(', ')}`)
    process.stdout.write(`${[...lines, ...notes].join('\n')}\n`)
  })
}

async function writeOnnx(folder: string, json: boolean, options: Omit<Options, 'layout' | 'json'>): Promise<void> {
  const exported = await usage(() => exportOnnx(folder, options))
  if (json) return writeJson(exported)
  const lines = exported.files.map(({ file, bytes }) => `${file}: ${(bytes / 1e6).toFixed(1)} MB`)
  process.stdout.write(`${lines.join('\n')}\n`)
}
