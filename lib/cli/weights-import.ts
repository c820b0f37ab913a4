import type { Command } from 'commander'
import { flagName } from '../config.js'
import { type ImportedWeights, importWeights } from '../interchange/import.js'
import { importSchema } from '../interchange/import-schema.js'
import { usage } from './exit.js'
import { addExamples } from './options.js'
import { writeJson } from './output.js'
import { addSettings, givenSettings } from './settings.js'

interface Options {
  name?: string
  out?: string
  json?: boolean
}

export function define(command: Command): void {
  command
    .argument('<path>', 'a .safetensors, .pt or .pth file, or a folder with model.safetensors')
    .option('--name <name>', 'store it in the cache under this name')
    .option('--out <folder>', 'or write it to this folder')
    .option('--json', 'write JSON to standard output')
  addSettings(command, importSchema)
  addExamples(command, {
    'mactok weights import dinov2_vits14_pretrain.pth --name dinov2-small': "timm's or the original layout",
    'mactok weights import softvq-b-64.pt --out models/softvq': 'a tokenizer of continuous_tokenizer (SoftVQ, MAETok)',
    'mactok weights import SiT-XL-2-256x256.pt --out models/sit': 'a generator; its averaged weights if there are any',
    'mactok weights import lightningdit-xl.pt --out models/dit --statistics latents_stats.pt':
      "LightningDiT on VA-VAE's latents"
  })
  command.action(async (path: string, options: Options & Record<string, unknown>) => {
    const { name, out, json = false } = options
    const settings = givenSettings(options, importSchema)
    const imported = await usage(() => importWeights(path, { ...settings, name, out }))
    if (json) return writeJson(imported)
    process.stdout.write(`${summarise(imported).join('\n')}\n`)
  })
}

function summarise({ folder, kind, layout, group, ignored, filled, sampling, notes }: ImportedWeights): string[] {
  const { guidance, ...rest } = sampling
  const flags = [
    ...Object.entries(rest).map(([name, value]) => `--${flagName(name)} ${value}`),
    ...Object.entries(guidance ?? {}).map(([name, value]) => `--guidance.${flagName(name)} ${value}`)
  ]
  return [
    `${folder}: ${kind}, from ${layout}${group === '' ? '' : ` (${group})`}`,
    ...(ignored.length > 0 ? [`ignored: ${ignored.join(', ')}`] : []),
    ...(filled.length > 0 ? [`filled with zeros: ${filled.join(', ')}`] : []),
    ...notes,
    ...(flags.length > 0 ? [`sample with ${flags.join(' ')}`] : [])
  ]
}
