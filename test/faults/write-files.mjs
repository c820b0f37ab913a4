/** Writes edited archives of torch.save for the sanitized parsers: node write-files.mjs <folder> <count> <seed>. */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readTorch, writeZip } from './formats.mjs'
import { Choices, damage, edit } from './mutate.mjs'
import { randomNumbers } from './place.mjs'

const [folder = '', count = '', seed = ''] = process.argv.slice(2)
const golden = fileURLToPath(new URL('../golden/torch/', import.meta.url))
const seeds = readdirSync(golden)
  .filter((name) => /^(zip\d|compressed)\.pt$/.test(name))
  .map((name) => readTorch(readFileSync(join(golden, name))))
const choices = new Choices(randomNumbers(Number(seed)))
for (let i = 0; i < Number(count); i++) {
  const written = writeZip(edit(choices.of(seeds), choices))
  writeFileSync(join(folder, `${i}.pt`), choices.below(4) === 0 ? damage(written, choices) : written)
}
