// From a handful of photographs to a trained tokenizer, latent shards and back, and a generator of such latents.
// `npm run demo` sets everything up and starts this; `npm run demo -- --short` takes a minute.
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join, parse } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import {
  decodeShards,
  encodeImages,
  Generator,
  imageFolder,
  locateWeights,
  reconstruct,
  sampleImages,
  Teacher,
  Tokenizer,
  trainGenerator,
  trainTokenizer,
  writeReport
} from '../../dist/index.js'

const short = process.argv.includes('--short')
const out = 'demo'
const photos = imageFolder(`${out}/photos`)
/** Training time of the tokenizer and of the generator. */
const seconds = short ? [30, 5] : [210, 90]

/** Rewrites the last line on a terminal; elsewhere prints a new one every ten seconds. */
let printed = 0
function update(line) {
  if (process.stderr.isTTY) return process.stderr.write(`\r\x1b[K${line}`)
  if (performance.now() - printed < 10_000) return
  printed = performance.now()
  process.stderr.write(`${line}\n`)
}
const note = (line) => process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}${line}\n`)
const say = (line = '') => console.log(line)
const clock = (time) => `${Math.floor(time / 60)}:${String(Math.round(time) % 60).padStart(2, '0')}`

rmSync(out, { recursive: true, force: true })
// Whole squares: with random crops of so few photographs, a model of this size learns their averages in the same time.
const folder = fileURLToPath(new URL('../photos', import.meta.url))
mkdirSync(`${out}/photos`, { recursive: true })
for (const file of readdirSync(folder)) {
  await sharp(join(folder, file))
    .resize(256, 256)
    .png()
    .toFile(`${out}/photos/${parse(file).name}.png`)
}

const batch = 8
const training = () =>
  trainTokenizer('tiny-64')
    .set({ batch, data: { minScale: 1 }, optimizer: { lr: 1e-3 }, teacher: { cache: 'auto' } })
    .data(photos, { heldOut: photos })

say('1. Training a tokenizer: 64 × 64 images as 32 tokens of 16 channels')
say('   It learns eight photographs by heart: this shows the machinery, not how a tokenizer generalises.')
// A few steps measure how many fit into the time on this machine.
let stepsPerSecond = 0
await training()
  .set({ log: { every: 3 } })
  .on('notice', ({ message }) => say(`   ${message}`))
  .on('step', ({ imagesPerSecond }) => {
    stepsPerSecond = imagesPerSecond / batch
  })
  .run({ dir: `${out}/warm-up`, steps: 6 })
rmSync(`${out}/warm-up`, { recursive: true })

const steps = Math.min(6000, Math.max(20, Math.round(seconds[0] * stepsPerSecond)))
await training()
  .set({ optimizer: { warmup: Math.min(100, Math.round(steps / 10)) }, checkpoint: { every: steps } })
  .set({ log: { every: short ? 5 : 10 }, evaluation: { every: Math.ceil(steps / 4) } })
  .on('step', ({ step, loss, psnr, imagesPerSecond, secondsLeft }) => {
    const { total, ...terms } = loss
    const parts = Object.entries(terms).map(([name, value]) => `${name} ${value.toPrecision(3)}`)
    update(
      `   step ${step}/${steps}  loss ${total.toPrecision(3)} (${parts.join(', ')})  ${psnr.toFixed(1)} dB  ` +
        `${imagesPerSecond.toFixed(0)} images/s  ${clock(secondsLeft)} left`
    )
  })
  .on('evaluation', ({ step, psnr }) => note(`   step ${step}: ${psnr.toFixed(2)} dB, nothing masked`))
  .run({ dir: `${out}/run`, steps })

say('\n2. Encoding the photographs into latent shards')
const tokenizer = await Tokenizer.load(`${out}/run`)
const { images, shards } = await encodeImages(tokenizer, photos, `${out}/latents`)
say(`   ${images} images and their mirror images in ${shards} shard`)

say('3. Decoding the shards')
await decodeShards(tokenizer, `${out}/latents`, `${out}/decoded`)

say('4. Drawing a grid of reconstructions')
const { imageSize, patchSize } = tokenizer.config
const teacher = (await locateWeights('dinov2-small'))
  ? await Teacher.load('dinov2-small', { grid: imageSize / patchSize })
  : null
const grid = await reconstruct(tokenizer, photos, `${out}/grid.png`, { teacher })
// Half a minute reaches about 19 dB on two cores, and an untrained tokenizer 11 dB.
if (short && grid.psnr < 15) throw new Error(`Expected 15 dB or more after the short training but got ${grid.psnr}`)

say('\n5. Training a generator on the shards: from noise to latents of such images')
const generating = () =>
  trainGenerator('sit-tiny')
    .set({ generator: { width: 128, depth: 4, heads: 4 }, batch: 32, optimizer: { lr: 2e-3, warmup: 20 } })
    .set({ ema: { decay: 0.99 }, grid: { every: null } })
    .latents(`${out}/latents`)
let latentsPerSecond = 0
await generating()
  .set({ log: { every: 10 } })
  .on('step', (event) => {
    latentsPerSecond = event.latentsPerSecond
  })
  .run({ dir: `${out}/warm-up`, steps: 20 })
rmSync(`${out}/warm-up`, { recursive: true })
const generatorSteps = Math.min(5000, Math.max(20, Math.round((seconds[1] * latentsPerSecond) / 32)))
await generating()
  .set({ optimizer: { final: 0.05 }, checkpoint: { every: generatorSteps }, log: { every: 50 } })
  .on('step', ({ step, loss, secondsLeft }) =>
    update(`   step ${step}/${generatorSteps}  loss ${loss.total.toPrecision(3)}  ${clock(secondsLeft)} left`)
  )
  .run({ dir: `${out}/generator`, steps: generatorSteps })
say('\n6. Drawing samples')
const generator = await Generator.load(`${out}/generator`)
await sampleImages(generator, tokenizer, { grid: `${out}/samples.png`, count: 24, columns: 8, steps: short ? 10 : 40 })

say('7. Writing the reports')
for (const run of ['run', 'generator']) await writeReport(`${out}/${run}`)

say(`
Done: ${grid.psnr.toFixed(1)} dB.
  ${out}/run/report.html, ${out}/generator/report.html   reports of both runs
  ${out}/grid.png      ${grid.columns.join(', ')}
  ${out}/samples.png   samples of the generator
  ${out}/latents/      latent shards, with their statistics
  ${out}/decoded/      images decoded from the shards
  ${out}/run/          the tokenizer's run: checkpoints, metrics.jsonl, TensorBoard events
  ${out}/generator/    the generator's run

Try next:
  npx mactok ui ${out}/run
  npx mactok inspect ${out}/run
  npx mactok train tokenizer tiny-64 --data <your images> --out runs/first
  npx mactok encode runs/first --data <your images> --out latents/first
  npx mactok train generator sit-tiny --latents latents/first --tokenizer runs/first --out runs/generator${teacher ? '' : '\n  npx mactok weights pull facebook/dinov2-small   (the teacher: semantic masks and alignment)'}`)
