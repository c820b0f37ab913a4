import { type Command, Option } from 'commander'
import { type ExportOptions, exportLayouts, exportWeights } from '../interchange/export.js'
import { usage } from './exit.js'
import { addExamples, addRawOption } from './options.js'
import { writeJson } from './output.js'

export function define(command: Command): void {
  command
    .argument('<folder>', 'a run folder, a checkpoint, a tokenizer or a generator')
    .addOption(new Option('--layout <name>', 'the layout to convert to').choices(exportLayouts).makeOptionMandatory())
    .requiredOption('--out <file>', 'the .safetensors file to write')
    .option('--json', 'write JSON to standard output')
  addRawOption(command)
  addExamples(command, {
    'mactok weights export runs/sit --layout sit --out sit.safetensors': "a generator with SiT's parameter names",
    'mactok weights export runs/b128 --layout continuous-tokenizer --out b128.safetensors': "a tokenizer with MAETok's"
  })
  command.action(async (folder: string, { json = false, ...options }: ExportOptions & { json?: boolean }) => {
    const exported = await usage(() => exportWeights(folder, options))
    if (json) return writeJson(exported)
    const { file, tensors, filled, notes } = exported
    const lines = [`${file}: ${tensors} tensors`]
    if (filled.length > 0) lines.push(`filled: ${filled.join(', ')}`)
    process.stdout.write(`${[...lines, ...notes].join('\n')}\n`)
  })
}
