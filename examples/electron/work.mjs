// What the worker does with a project, each by a function of mactok.
import { rm } from 'node:fs/promises'
import * as mactok from 'mactok'
import { drawMasks, fromLevels, psnr, toPixels } from './pixels.mjs'
import { describeProject, findRun } from './project.mjs'

/** @import { Gallery, Project, Requests, Samples, TrainingProgress } from './protocol.ts' */
/** @import { Place } from './project.mjs' */

/**
 * Images, masks, and reconstructions by the newest checkpoint. Each request loads the model for itself: it is small, and a training
 * replaces it.
 * @param {Place} place
 * @param {Requests['look']['parameters']} parameters
 * @returns {Promise<Gallery>}
 */
export async function look(place, { count, ratio, seed }) {
  const tokenizer = (await findRun(place.tokenizer)) ? await mactok.Tokenizer.load(place.tokenizer) : null
  try {
    const { imageSize: size, patchSize } = tokenizer?.config ?? { imageSize: 64, patchSize: 8 }
    const levels = await readImages(place.folder, size, count)
    const images = levels.length / (size * size * 3)
    const patches = (size / patchSize) ** 2
    const hidden = drawMasks({ images, patches, ratio, seed })
    const masks = Array.from({ length: images }, (_, i) => hidden.subarray(i * patches, (i + 1) * patches))
    const originals = fromLevels(levels, images)
    if (tokenizer === null) return { size, originals, masks, reconstructions: null, psnr: null }
    const decoded = await mactok.scope(async () => {
      const input = mactok.tensor(levels, [images, size, size, 3], { dtype: 'uint8' })
      const mask = mactok.tensor(hidden, [images, patches], { dtype: 'uint8' })
      return tokenizer.decode(await tokenizer.encode(input, { mask }))
    })
    const reconstructions = toPixels(await decoded.data(), images)
    decoded.dispose()
    return { size, originals, masks, reconstructions, psnr: originals.map((one, i) => psnr(one, reconstructions[i])) }
  } finally {
    tokenizer?.dispose()
  }
}

/**
 * Centre crops, uint8 [B, size, size, 3]; unreadable images are missing.
 * @param {string} folder
 * @param {number} size
 * @param {number} count
 */
async function readImages(folder, size, count) {
  const stream = await mactok.openImages(folder, { size, count })
  try {
    for await (const { images } of stream.batches(0, count)) return images
    throw new Error(`No image of ${folder} can be read`)
  } finally {
    await stream[Symbol.asyncDispose]()
  }
}

/** What a training logs and keeps: about 200 points of each curve, and ten checkpoints, of which the newest stay. */
const keeping = (/** @type {number} */ steps) => ({
  log: { every: Math.ceil(steps / 200) },
  checkpoint: { every: Math.ceil(steps / 10), keep: 2 }
})

/**
 * @param {Place} place
 * @param {Requests['trainTokenizer']['parameters']} parameters
 * @param {(progress: TrainingProgress) => void} report
 * @param {AbortSignal} signal
 * @returns {Promise<Project>}
 */
export async function trainTokenizer(place, { preset, steps }, report, signal) {
  const resume = await canResume(place.tokenizer, { preset, steps })
  if (!resume) await removeAll(place.tokenizer)
  // A tokenizer that was trained on encodes differently.
  await removeAll(place.latents, place.generator)
  await mactok
    // A name, whatever the page sends: settings could name files.
    .trainTokenizer(String(preset))
    .set({ ...keeping(steps), batch: 8, data: { minScale: 1 }, optimizer: { lr: 1e-3, warmup: Math.min(20, steps) } })
    .data(place.folder)
    .on('step', ({ step, steps, loss, psnr, imagesPerSecond, secondsLeft }) =>
      report({ kind: 'step', step, steps, metrics: { loss: loss.total, psnr }, rate: imagesPerSecond, secondsLeft })
    )
    .on('checkpoint', ({ step }) => report({ kind: 'checkpoint', step }))
    .on('notice', ({ message }) => report({ kind: 'notice', message }))
    .run({ dir: place.tokenizer, steps, resume, signal })
  return describeProject(place)
}

/**
 * Latents that no longer fit, because images were added or removed, are replaced; the generator that was trained on them goes with them.
 * @param {Place} place
 * @param {(progress: Requests['encode']['progress']) => void} report
 * @param {AbortSignal} signal
 * @returns {Promise<Project>}
 */
export async function encode(place, report, signal) {
  const tokenizer = await mactok.Tokenizer.load(place.tokenizer)
  try {
    const onProgress = (/** @type {number} */ done, /** @type {number} */ total) => report({ done, total })
    const options = { batch: 16, shardSize: 256, onProgress, signal }
    const encodeAll = () => mactok.encodeImages(tokenizer, place.folder, place.latents, options)
    await encodeAll().catch(async (error) => {
      if (error.code !== 'ERR_FORMAT') throw error
      await removeAll(place.latents, place.generator)
      return encodeAll()
    })
    return describeProject(place)
  } finally {
    tokenizer.dispose()
  }
}

/**
 * @param {Place} place
 * @param {Requests['trainGenerator']['parameters']} parameters
 * @param {(progress: TrainingProgress) => void} report
 * @param {AbortSignal} signal
 * @returns {Promise<Project>}
 */
export async function trainGenerator(place, { steps }, report, signal) {
  const preset = 'sit-tiny'
  const resume = await canResume(place.generator, { preset, steps })
  if (!resume) await removeAll(place.generator)
  await mactok
    .trainGenerator(preset)
    .set({ ...keeping(steps), batch: 32, optimizer: { warmup: Math.min(50, steps) }, ema: { decay: 0.99 } })
    .latents(place.latents)
    .on('step', ({ step, steps, loss, latentsPerSecond, secondsLeft }) =>
      report({ kind: 'step', step, steps, metrics: { loss: loss.total }, rate: latentsPerSecond, secondsLeft })
    )
    .on('checkpoint', ({ step }) => report({ kind: 'checkpoint', step }))
    .on('notice', ({ message }) => report({ kind: 'notice', message }))
    .run({ dir: place.generator, steps, resume, signal })
  return describeProject(place)
}

/** A run that was cancelled resumes when the same is requested. @param {string} folder @param {{ preset: string, steps: number }} wanted */
async function canResume(folder, { preset, steps }) {
  const run = await findRun(folder)
  return run !== null && run.step < run.steps && run.steps === steps && run.preset === preset
}

const removeAll = (/** @type {string[]} */ ...folders) =>
  Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })))

/** Milliseconds between previews. */
const previewEvery = 150

/**
 * @param {Place} place
 * @param {Requests['sample']['parameters']} parameters
 * @param {(progress: Samples) => void} report
 * @param {AbortSignal} signal
 * @returns {Promise<Samples | null>}
 */
export async function sample(place, { count, steps, seed }, report, signal) {
  const tokenizer = await mactok.Tokenizer.load(place.tokenizer)
  const { imageSize: size } = tokenizer.config
  const show = async (/** @type {mactok.Tensor<'float32'>} */ images) => toPixels(await images.data(), count)
  try {
    const generator = await mactok.Generator.load(place.generator)
    const sampling = generator.sample({ count, steps, seed, tokenizer, signal })
    let shown = 0
    for await (const { step, previewImages } of sampling) {
      if (performance.now() - shown < previewEvery) continue
      const images = await previewImages()
      if (images) report({ step, steps, size, images: await show(images) })
      shown = performance.now()
    }
    const { images } = await sampling
    return { step: steps, steps, size, images: await show(/** @type {mactok.Tensor<'float32'>} */ (images)) }
  } catch (error) {
    if (signal.aborted) return null
    throw error
  } finally {
    tokenizer.dispose()
  }
}
