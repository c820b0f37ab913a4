import type { Command } from 'commander'
import { type ImportedWeights, importWeights } from '../interchange/import.js'
import { type ImportOptions, importSchema } from '../interchange/import-schema.js'
import { addExamples, usage, writeJson } from './context.js'
import { addSettings, givenSettings } from './settings.js'

interface Options {
  name?: string
  out?: string
  json?: boolean
}

export function define(command: Command): void {
  command
    .argument('<path>', 'a .safetensors, .pt or .pth file, or a folder with model.safetensors')
    .option('--name <name>', 'keep it in the cache under this name')
    .option('--out <folder>', 'or write it here')
    .option('--json', 'write JSON to standard output')
  addSettings(command, importSchema)
  addExamples(command, {
    'mactok weights import dinov2_vits14_pretrain.pth --name dinov2-small': "timm's or the original layout",
    'mactok weights import softvq-b-64.pt --out models/softvq': 'a tokenizer of continuous_tokenizer (SoftVQ, MAETok)',
    'mactok weights import SiT-XL-2-256x256.pt --out models/sit': 'a generator; averaged weights where there are any',
    'mactok weights import lightningdit-xl.pt --out models/dit --statistics latents_stats.pt':
      "LightningDiT on VA-VAE's latents"
  })
  command.action(async (path: string, options: Options & Record<string, unknown>) => {
    const { name, out, json = false } = options
    const given = givenSettings(options, importSchema) as Partial<ImportOptions>
    const where = { ...(name === undefined ? {} : { name }), ...(out === undefined ? {} : { out }) }
    const imported = await usage(() => importWeights(path, { ...given, ...where }))
    if (json) return writeJson(imported)
    process.stdout.write(`${lines(imported).join('\n')}\n`)
  })
}

function lines({ folder, kind, layout, group, ignored, filled, sampling, notes }: ImportedWeights): string[] {
  const { guidance, ...rest } = sampling
  const flags = [
    ...Object.entries(rest).map(([name, value]) => `--${name} ${value}`),
    ...Object.entries(guidance ?? {}).map(([name, value]) => `--guidance.${name} ${value}`)
  ]
  return [
    `${folder}: ${kind}, from ${layout}${group === '' ? '' : ` (${group})`}`,
    ...(ignored.length > 0 ? [`left over: ${ignored.join(', ')}`] : []),
    ...(filled.length > 0 ? [`zeros: ${filled.join(', ')}`] : []),
    ...notes,
    ...(flags.length > 0 ? [`sample with ${flags.join(' ')}`] : [])
  ]
}
