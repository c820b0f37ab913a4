// Counts LibTorch's operations in training steps without graphs: node offline/launches.mjs <device> <file>
import { writeFileSync } from 'node:fs'
import { countLaunches } from '../scripts/launches.mjs'

process.env.MACTOK_ADDON = 'mactok_testing'

/** Each step's recipe; ViT-B and SiT-B have 12 layers, SiT-XL has 28. */
const STEPS = {
  'tokenizer vit-b, plain': { recipe: 'plain' },
  'tokenizer vit-b, early': { recipe: 'early' },
  'tokenizer vit-b, full': { recipe: 'full' },
  'sit sit-b': { recipe: 'sit' },
  'sit sit-xl': { recipe: 'sit', depth: 28 }
}

const [device, file] = process.argv.slice(2)
const { addon } = await import('../dist/native/load.js')
/** @type {Record<string, number>} */
const found = {}
for (const [name, { recipe, ...options }] of Object.entries(STEPS)) {
  found[name] = (await countLaunches(addon(), recipe, { device, precision: 'bf16', ...options })).launches
}
writeFileSync(file, `${JSON.stringify(found, null, 1)}\n`)
process.exit(0)
