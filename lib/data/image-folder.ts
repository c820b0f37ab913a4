import type { Dirent } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { oneOf, text } from '../checks.js'
import { MactokError } from '../errors.js'
import { byCodePoint, imageFormats, isHidden, notAnImage, printBytes } from './formats.js'
import { readImageFile, stampOf } from './image-file.js'
import type { Ignored, ImageSet, ImageSource, Sample } from './image-set.js'

export interface ImageFolderOptions {
  /**
   * `folders`: sub-folders are classes; `none`: no labels, all images below the folder. Default: `folders` if
   * sub-folders hold images.
   */
  labels?: 'folders' | 'none'
}

/**
 * A folder of images, flat or with one sub-folder per class, labelled and ordered as torchvision's `ImageFolder` does
 * (classes, then paths, by code point; links followed). Hidden files and folders are skipped, so that
 * `.ipynb_checkpoints` is no class.
 * Files that are not images, and images beside the class folders, are listed in `ignored`.
 * @throws {TypeError | RangeError} wrong arguments; opening throws ERR_FORMAT when there are no images
 */
export function imageFolder(path: string, options: ImageFolderOptions = {}): ImageSource {
  text('path', 'a folder', path)
  const { labels } = options
  if (labels !== undefined) oneOf('labels', ['folders', 'none'], labels)
  return { name: path, open: () => openFolder(path, labels) }
}

async function openFolder(root: string, labels: ImageFolderOptions['labels']): Promise<ImageSet> {
  const top = await listFolder(root, '')
  const folders: Folder[] = []
  for (const entry of top.folders)
    folders.push(await walk(entry, [(await realpath(root, { encoding: 'buffer' })).toString('latin1')]))
  const nested = labels === 'folders' || (labels !== 'none' && folders.some(({ images }) => images.length > 0))

  const ignored: Ignored[] = [...top.ignored]
  const samples: Sample[] = []
  const places: Path[] = []
  const addSamples = (entries: Entry[], label: number) => {
    for (const { name, place } of entries) {
      samples.push({ name, label })
      places.push(place)
    }
  }
  if (nested) {
    for (const { name } of top.images) ignored.push({ name, reason: 'in no class folder' })
  } else {
    addSamples(top.images, -1)
  }
  for (const [index, folder] of folders.entries()) {
    ignored.push(...folder.ignored)
    addSamples(folder.images, nested ? index : -1)
  }
  if (samples.length === 0) {
    throw new MactokError('ERR_FORMAT', `${root} holds no images (${imageFormats}), only ${countFiles(ignored.length)}`)
  }
  return {
    name: root,
    size: samples.length,
    classes: nested ? top.folders.map(({ name }) => name) : null,
    ignored,
    sample: (index) => samples[index] as Sample,
    read: (index) => readImageFile(places[index] as Path),
    stamp: async (index) => stampOf(await stat(places[index] as Path)),
    close: async () => {}
  }
}

/** Bytes where a part of the path is not UTF-8. */
type Path = string | Buffer

interface Entry {
  /** The path from the root, for people. */
  name: string
  place: Path
}

interface Folder {
  images: Entry[]
  ignored: Ignored[]
}

/** Lists everything below a folder in the order of Python's `sorted(os.walk(…))`: by folder path, then by name. */
async function walk(folder: Entry, ancestors: string[]): Promise<Folder> {
  const found: (Folder & { path: string })[] = []
  const visit = async ({ name: path, place }: Entry, above: string[]) => {
    // In latin1, so that two names that are not UTF-8 differ.
    const real = (await realpath(place, { encoding: 'buffer' })).toString('latin1')
    if (above.includes(real)) {
      found.push({ path, images: [], ignored: [{ name: path, reason: 'a link to a folder above it' }] })
      return
    }
    const { folders, ...files } = await listFolder(place, path)
    found.push({ path, ...files })
    for (const entry of folders) await visit(entry, [...above, real])
  }
  await visit(folder, ancestors)
  found.sort((a, b) => byCodePoint(a.path, b.path))
  return { images: found.flatMap(({ images }) => images), ignored: found.flatMap(({ ignored }) => ignored) }
}

/** Lists the visible entries of one folder, sorted by name. */
async function listFolder(place: Path, path: string): Promise<Folder & { folders: Entry[] }> {
  const listing = { folders: [] as Entry[], images: [] as Entry[], ignored: [] as Ignored[] }
  for (const entry of await readEntries(place)) {
    if (isHidden(entry.name)) continue
    const found = { name: path ? `${path}/${entry.name}` : entry.name, place: entry.place }
    const kind = entry.kind.isSymbolicLink() ? await stat(found.place).catch(() => null) : entry.kind
    if (kind?.isDirectory()) {
      listing.folders.push(found)
      continue
    }
    const reason = kind === null ? 'a broken link' : kind.isFile() ? notAnImage(entry.name) : 'not a file'
    if (reason) listing.ignored.push({ name: found.name, reason })
    else listing.images.push(found)
  }
  return listing
}

/** Reads a folder, sorted by name. Bytes of a name that are not UTF-8 appear as `\xE9`. */
async function readEntries(folder: Path): Promise<(Entry & { kind: Dirent | Dirent<Buffer> })[]> {
  const failed = (cause: NodeJS.ErrnoException) => {
    const what = cause.code === 'ENOTDIR' ? 'is not a folder' : `cannot be listed (${cause.code})`
    throw new MactokError('ERR_FORMAT', `${folder} ${what}`, { cause })
  }
  const entries = await readdir(folder, { withFileTypes: true }).catch(failed)
  const isText = typeof folder === 'string' && !entries.some(({ name }) => name.includes('\ufffd'))
  const found = isText
    ? entries.map((kind) => ({ name: kind.name, place: join(folder, kind.name), kind }))
    : (await readdir(folder, { withFileTypes: true, encoding: 'buffer' }).catch(failed)).map((kind) => ({
        name: printBytes(kind.name),
        place: Buffer.concat([Buffer.from(folder), Buffer.from('/'), kind.name]),
        kind
      }))
  return found.sort((a, b) => byCodePoint(a.name, b.name))
}

const countFiles = (files: number) => `${files} other file${files === 1 ? '' : 's'}`
