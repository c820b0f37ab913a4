// From a handful of photographs to a trained tokenizer, latent shards and back. `npm run demo` sets everything up and starts this;
// `npm run demo -- --short` is done in a minute.
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  decodeShards,
  encodeImages,
  imageFolder,
  locateWeights,
  reconstruct,
  Teacher,
  Tokenizer,
  trainTokenizer
} from '../../dist/index.js'

const short = process.argv.includes('--short')
const out = 'demo'
const photos = fileURLToPath(new URL('../photos', import.meta.url))
const minutes = short ? 0.75 : 4

/** Overwrites the last line on a terminal; elsewhere a line of its own. */
const live = (line) => process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`)
const say = (line = '') => console.log(line)
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.round(seconds) % 60).padStart(2, '0')}`

rmSync(out, { recursive: true, force: true })

say('1. Training a tokenizer: 64 × 64 pictures as 32 tokens of 16 channels')
await trainTokenizer('tiny-64')
  .set({ steps: short ? 60 : 600, batch: 32, data: { minScale: 0.35 }, optimizer: { warmup: short ? 10 : 50 } })
  .set({ log: { every: short ? 5 : 10 }, evaluation: { every: short ? 60 : 200 }, checkpoint: { every: 600 } })
  .data(imageFolder(photos), { heldOut: imageFolder(photos) })
  .on('notice', ({ message }) => say(`   ${message}`))
  .on('step', ({ step, steps, loss, psnr, picturesPerSecond, secondsLeft }) => {
    const { total, ...terms } = loss
    const parts = Object.entries(terms).map(([name, value]) => `${name} ${value.toPrecision(3)}`)
    live(
      `   step ${step}/${steps}  loss ${total.toPrecision(3)} (${parts.join(', ')})  ${psnr.toFixed(1)} dB  ` +
        `${picturesPerSecond.toFixed(0)} pictures/s  ${clock(secondsLeft)} left`
    )
  })
  .on('evaluation', ({ step, psnr }) =>
    live(`   step ${step}: ${psnr.toFixed(2)} dB on whole pictures, nothing masked\n`)
  )
  // A slow machine stops earlier, with a checkpoint like any other.
  .run({ dir: `${out}/run`, signal: AbortSignal.timeout(minutes * 60_000) })

say('\n2. Encoding the photographs into latent shards')
const tokenizer = await Tokenizer.load(`${out}/run`)
const { pictures, shards } = await encodeImages(tokenizer, imageFolder(photos), `${out}/latents`)
say(`   ${pictures} pictures and their mirror images in ${shards} shard`)

say('3. Decoding the shards')
await decodeShards(tokenizer, `${out}/latents`, `${out}/decoded`)

say('4. Drawing the grid')
const { imageSize, patchSize } = tokenizer.config
const teacher = (await locateWeights('dinov2-small'))
  ? await Teacher.load('dinov2-small', { grid: imageSize / patchSize })
  : null
const grid = await reconstruct(tokenizer, imageFolder(photos), `${out}/grid.png`, { teacher })

say(`
Done: ${grid.psnr.toFixed(1)} dB.
  ${out}/grid.png   ${grid.columns.join(', ')}
  ${out}/latents/   latent shards, with their statistics
  ${out}/decoded/   pictures decoded from the shards
  ${out}/run/       the run: checkpoints, metrics.jsonl, TensorBoard's events

Try next:
  npx mactok inspect ${out}/run
  npx mactok train tokenizer tiny-64 --data <your pictures> --out runs/first
  npx mactok encode runs/first --data <your pictures> --out latents/first${teacher ? '' : '\n  npx mactok weights pull facebook/dinov2-small   (the teacher: semantic masks and alignment)'}`)
