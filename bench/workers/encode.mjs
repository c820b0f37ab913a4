/** An image folder to latent shards, each image and its mirror image. */

import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { imageFolder } from '../../dist/data/image-folder.js'
import { openLatents } from '../../dist/latents/index.js'
import { encodeImages } from '../../dist/pipeline/encode.js'
import { tensor } from '../../dist/tensor/tensor.js'
import { Tokenizer } from '../../dist/tokenizer/tokenizer.js'
import { answer, readSpec, rounds } from './harness.mjs'

const spec = readSpec()
const { folder, data, batch, precision, scratch, device = 'cpu' } = spec
const tokenizer = await Tokenizer.load(folder, { device })
let samples

// The first use prepares what later ones reuse; on the peer's side that includes compiling.
const { imageSize } = spec.tokenizer
const blank = tensor(new Uint8Array(batch * imageSize ** 2 * 3), [batch, imageSize, imageSize, 3], { device })
await tokenizer.encode(blank, { precision })
blank.dispose()

async function pass() {
  const out = await mkdtemp(join(scratch, 'ours-'))
  await encodeImages(tokenizer, imageFolder(data), out, { batch, precision })
  if (!samples) {
    const latents = await openLatents(out)
    samples = Array.from((await latents.rows([0, 1, 2, 3])).latents)
    await latents.close()
  }
  await rm(out, { recursive: true })
}

await answer({ ...(await rounds({ ...spec, warmup: 0 }, pass)), samples }, device)
