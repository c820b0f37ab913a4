import { type Command, Option } from 'commander'
import { type ExportOptions, exportLayouts, exportWeights } from '../interchange/export.js'
import { addExamples, usage, writeJson } from './context.js'

export function define(command: Command): void {
  command
    .argument('<folder>', 'a run folder, a checkpoint, a tokenizer or a generator')
    .addOption(new Option('--layout <name>', 'whose names').choices(exportLayouts).makeOptionMandatory())
    .requiredOption('--out <file>', 'the .safetensors file to write')
    .option('--raw', 'the weights in training instead of their moving average')
    .option('--json', 'write JSON to standard output')
  addExamples(command, {
    'mactok weights export runs/sit --layout sit --out sit.safetensors': 'a generator as SiT names its parameters',
    'mactok weights export runs/b128 --layout continuous-tokenizer --out b128.safetensors': 'a tokenizer as MAETok does'
  })
  command.action(async (folder: string, { json = false, ...options }: ExportOptions & { json?: boolean }) => {
    const exported = await usage(() => exportWeights(folder, options))
    if (json) return writeJson(exported)
    const { file, tensors, filled, notes } = exported
    const more = [...(filled.length > 0 ? [`filled: ${filled.join(', ')}`] : []), ...notes]
    process.stdout.write(`${[`${file}: ${tensors} tensors`, ...more].join('\n')}\n`)
  })
}
