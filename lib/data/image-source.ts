import { readdir, stat } from 'node:fs/promises'
import { text } from '../checks.js'
import { invalidParameter, MactokError } from '../errors.js'
import { expandBraces } from './braces.js'
import { isHidden, isTar, notAnImage } from './formats.js'
import { imageFolder } from './image-folder.js'
import type { Ignored, ImageSource } from './image-set.js'
import { webDataset } from './web-dataset.js'

/**
 * The images at a path: a `webDataset` for a tar, a folder of tars only or a pattern of tars; an `imageFolder` for any
 * other folder.
 */
export function imageSource(path: string): ImageSource {
  text('path', 'a folder, a tar or a pattern of tars', path)
  return { name: path, open: async () => (await detectSource(path))(path).open() }
}

/** @internal Accepts a source or the path of one; `name` is the parameter's name in errors. */
export function asSource(name: string, source: unknown): ImageSource {
  if (typeof source === 'string') return imageSource(source)
  if (typeof source === 'object' && source !== null && 'open' in source && typeof source.open === 'function') {
    return source as ImageSource
  }
  throw invalidParameter(name, 'an image source such as imageFolder(path), or a path', source)
}

/** @internal The same source, which reports its ignored files whenever it is opened. */
export function reportIgnored(source: ImageSource, onIgnored: (ignored: Ignored) => void): ImageSource {
  const open = async () => {
    const set = await source.open()
    set.ignored.forEach((ignored) => {
      onIgnored(ignored)
    })
    return set
  }
  return { name: source.name, open }
}

async function detectSource(path: string): Promise<(path: string) => ImageSource> {
  const found = await stat(path).catch(() => null)
  if (found?.isDirectory()) return (await holdsTars(path)) ? webDataset : imageFolder
  if (found || expandBraces(path).length > 1) return webDataset
  throw new MactokError('ERR_FORMAT', `There is neither a folder nor a tar at ${path}`)
}

/** Whether a folder holds tars, but no images or class folders. */
async function holdsTars(path: string): Promise<boolean> {
  const entries = (await readdir(path, { withFileTypes: true })).filter(({ name }) => !isHidden(name))
  const images = entries.some((entry) => entry.isDirectory() || notAnImage(entry.name) === null)
  return !images && entries.some(({ name }) => isTar(name))
}
