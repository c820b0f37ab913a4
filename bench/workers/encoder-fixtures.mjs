/** What both sides encode, and with which weights. */

import { cp, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Tokenizer } from '../../dist/tokenizer/tokenizer.js'

/** Writes them into `folder` and returns what the specs name. `images`: how many to take of the data's class folders, evenly spread; default: all. */
export async function writeEncoderFixtures(folder, { tokenizer, data, images }) {
  const network = await Tokenizer.create(tokenizer, { device: 'cpu', seed: 1 })
  await network.save(join(folder, 'tokenizer'))
  const classes = (await readdir(data)).sort()
  const chosen = classes.filter((_, i) => !images || (i * images) % classes.length < images)
  const copied = join(folder, 'images')
  await mkdir(copied)
  // Reading the files now caches them, so that neither side waits for the disk.
  for (const name of chosen) await cp(join(data, name), join(copied, name), { recursive: true })
  return { folder: join(folder, 'tokenizer'), data: copied }
}
