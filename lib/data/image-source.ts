import { readdir, stat } from 'node:fs/promises'
import { text } from '../checks.js'
import { invalidParameter, MactokError } from '../errors.js'
import { ifPresent } from '../files/stat.js'
import { isHidden, notAnImage } from './formats.js'
import { imageFolder } from './image-folder.js'
import type { Ignored, ImageSet, ImageSource } from './image-set.js'
import { isParquet, isPattern, isTar } from './locations.js'
import { parquetImages } from './parquet.js'
import { webDataset } from './web-dataset.js'

/**
 * The images at a path: a `webDataset` for a tar, a folder of tars only or a pattern of tars; `parquetImages` likewise for
 * parquet files; an `imageFolder` for any other folder. Tars and parquet files may be at HTTP(S) addresses.
 */
export function imageSource(path: string): ImageSource {
  text('path', 'a folder, a tar or a pattern of tars', path)
  return { name: path, open: async () => (await detectSource(path))(path).open() }
}

/** @internal Accepts a source or the path of one; `name` is the parameter's name in errors. */
export function asSource(name: string, source: unknown): ImageSource {
  if (typeof source === 'string') return imageSource(source)
  if (typeof source === 'object' && source !== null && 'open' in source && typeof source.open === 'function') {
    const given = source as ImageSource
    return { name: given.name, open: async () => requireSet(name, await given.open()) }
  }
  throw invalidParameter(name, 'an image source such as imageFolder(path), or a path', source)
}

function requireSet(name: string, set: unknown): ImageSet {
  const { size, ignored, sample, read, close } = (set ?? {}) as Partial<ImageSet>
  const isSet = Number.isInteger(size) && Array.isArray(ignored)
  if (isSet && [sample, read, close].every((each) => typeof each === 'function')) return set as ImageSet
  throw invalidParameter(name, 'a source whose open() gives a set of images', set)
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
  const found = await ifPresent(stat(path))
  if (found?.isDirectory()) {
    const files = await listOthers(path)
    return files.some(isTar) ? webDataset : files.some(isParquet) ? parquetImages : imageFolder
  }
  if (found || isPattern(path)) return isParquet(path) ? parquetImages : webDataset
  throw new MactokError('ERR_FORMAT', `There is neither a folder nor a tar at ${path}`)
}

/** The visible files of a folder that holds neither images nor class folders; none for any other. */
async function listOthers(path: string): Promise<string[]> {
  const entries = (await readdir(path, { withFileTypes: true })).filter(({ name }) => !isHidden(name))
  const images = entries.some((entry) => entry.isDirectory() || notAnImage(entry.name) === null)
  return images ? [] : entries.map(({ name }) => name)
}
