// A folder of images, and the folder beside it in which its models and latents are.
import { createHash } from 'node:crypto'
import { basename, join } from 'node:path'
import { imageFolder, inspect } from 'mactok'

/** @import { Project, Preset, Trained } from './protocol.ts' */

/** @typedef {{ folder: string, images: number, tokenizer: string, latents: string, generator: string }} Place */

/**
 * @param {string} folder of images
 * @param {string} home where all projects are
 * @returns {Promise<Place>}
 */
export async function openProject(folder, home) {
  const set = await imageFolder(folder).open()
  const images = set.size
  await set.close()
  if (images === 0) throw new Error(`${folder} has no images: expected JPEG, PNG, WebP, AVIF, TIFF or GIF files`)
  // Folders of the same name stay apart.
  const key = createHash('sha256').update(folder).digest('hex').slice(0, 8)
  const inProject = (/** @type {string} */ name) => join(home, `${basename(folder)}-${key}`, name)
  return {
    folder,
    images,
    tokenizer: inProject('tokenizer'),
    latents: inProject('latents'),
    generator: inProject('generator')
  }
}

/** @param {Place} place @returns {Promise<Project>} */
export async function describeProject(place) {
  const tokenizer = await findRun(place.tokenizer)
  const shards = await inspect(place.latents).catch(() => null)
  return {
    name: basename(place.folder),
    images: place.images,
    tokenizer: tokenizer && { ...tokenizer, preset: /** @type {Preset} */ (tokenizer.preset) },
    latents: shards?.kind === 'shards' ? shards.samples : null,
    generator: await findRun(place.generator)
  }
}

/** A run with a checkpoint; null where there is none. @param {string} folder @returns {Promise<(Trained & { preset: string }) | null>} */
export async function findRun(folder) {
  const run = await inspect(folder).catch(() => null)
  if (run?.kind !== 'run' || run.checkpoint === null) return null
  const { steps, preset } = run.record.config
  return { step: run.checkpoint.step, steps, preset: preset ?? '' }
}
