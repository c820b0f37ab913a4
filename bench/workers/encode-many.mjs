/** A folder of tars of small images to latent shards, each image and its mirror image: one pass, with the tiny preset's network. */

import { join } from 'node:path'
import { webDataset } from '../../dist/data/web-dataset.js'
import { encodeImages } from '../../dist/pipeline/encode.js'
import { Tokenizer } from '../../dist/tokenizer/tokenizer.js'
import { answer, readSpec, rounds } from './harness.mjs'

const { data, scratch } = readSpec()
const tokenizer = await Tokenizer.create('tiny-32', { device: 'cpu' })
let images
const { seconds } = await rounds({ warmup: 0, rounds: 1, steps: 1 }, async () => {
  const options = { precision: /** @type {const} */ ('bf16'), batch: 128 }
  ;({ images } = await encodeImages(tokenizer, webDataset(data), join(scratch, 'latents'), options))
})
await answer({ seconds, images })
