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
const photos = imageFolder(fileURLToPath(new URL('../photos', import.meta.url)))
const seconds = short ? 30 : 210

/** Overwrites the last line on a terminal; elsewhere a line of its own. */
const live = (line) => process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`)
const say = (line = '') => console.log(line)
const clock = (time) => `${Math.floor(time / 60)}:${String(Math.round(time) % 60).padStart(2, '0')}`

rmSync(out, { recursive: true, force: true })
const training = () =>
  trainTokenizer('tiny-64')
    .set({ batch: 16, data: { minScale: 0.5 } })
    .data(photos, { heldOut: photos })

say('1. Training a tokenizer: 64 × 64 pictures as 32 tokens of 16 channels')
// A few steps tell how many this machine can do in the time.
let stepsPerSecond = 0
await training()
  .set({ log: { every: 3 } })
  .on('notice', ({ message }) => say(`   ${message}`))
  .on('step', ({ picturesPerSecond }) => {
    stepsPerSecond = picturesPerSecond / 16
  })
  .run({ dir: `${out}/warm-up`, steps: 6 })
rmSync(`${out}/warm-up`, { recursive: true })

const steps = Math.min(3000, Math.max(20, Math.round(seconds * stepsPerSecond)))
await training()
  .set({ optimizer: { warmup: Math.round(steps / 10) }, checkpoint: { every: steps } })
  .set({ log: { every: short ? 5 : 10 }, evaluation: { every: Math.ceil(steps / 4) } })
  .on('step', ({ step, loss, psnr, picturesPerSecond, secondsLeft }) => {
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
  .run({ dir: `${out}/run`, steps })

say('\n2. Encoding the photographs into latent shards')
const tokenizer = await Tokenizer.load(`${out}/run`)
const { pictures, shards } = await encodeImages(tokenizer, photos, `${out}/latents`)
say(`   ${pictures} pictures and their mirror images in ${shards} shard`)

say('3. Decoding the shards')
await decodeShards(tokenizer, `${out}/latents`, `${out}/decoded`)

say('4. Drawing the grid')
const { imageSize, patchSize } = tokenizer.config
const teacher = (await locateWeights('dinov2-small'))
  ? await Teacher.load('dinov2-small', { grid: imageSize / patchSize })
  : null
const grid = await reconstruct(tokenizer, photos, `${out}/grid.png`, { teacher })

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
