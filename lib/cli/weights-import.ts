import type { Command } from 'commander'
import { importWeights } from '../weights/index.js'
import { addExamples, usage, writeJson } from './context.js'

export function define(command: Command): void {
  command
    .argument('<path>', 'a .safetensors file, or a folder with model.safetensors')
    .requiredOption('--name <name>', 'the name to use it by')
    .option('--json', 'write JSON to standard output')
  addExamples(command, {
    'mactok weights import downloads/dinov2_vits14.safetensors --name dinov2-small': "timm's or the original layout",
    'mactok weights import downloads/maetok --name maetok-b-128': 'a tokenizer of continuous_tokenizer'
  })
  command.action(async (path: string, { name, json = false }: { name: string; json?: boolean }) => {
    const imported = await usage(() => importWeights(path, { name }))
    if (json) return writeJson(imported)
    const { folder, kind, ignored } = imported
    process.stdout.write(`${folder}: ${kind}${ignored.length ? `; left out ${ignored.join(', ')}` : ''}\n`)
  })
}
