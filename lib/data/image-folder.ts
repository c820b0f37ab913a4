import type { Dirent } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { object, oneOf, text } from '../checks.js'
import { MactokError } from '../errors.js'
import { ifPresent, stampOf } from '../files/stat.js'
import { type Entry, FileList, type Path } from './file-list.js'
import { byCodePoint, imageFormats, isHidden, notAnImage, printBytes } from './formats.js'
import { readImageFile } from './image-file.js'
import type { Ignored, ImageSet, ImageSource } from './image-set.js'
import { prefetch } from './prefetch.js'

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
  object('options', 'an object', options)
  const { labels } = options
  if (labels !== undefined) oneOf('labels', ['folders', 'none'], labels)
  return { name: path, open: () => openFolder(path, labels) }
}

async function openFolder(root: string, labels: ImageFolderOptions['labels']): Promise<ImageSet> {
  const top = await listFolder(root, '')
  const above = top.folders.length > 0 ? [await identify(root)] : []
  const list = new FileList((name) => join(root, name))
  const ignored: Ignored[][] = []
  /** Where the images of each folder begin, after those of the root. */
  const starts: number[] = []
  list.add(top.images)
  const walkNext = (index: number) => walk(top.folders[index] as Entry, above)
  const reading = { prefetch: concurrency, concurrency }
  for await (const folder of prefetch(0, top.folders.length, reading, walkNext)) {
    starts.push(list.size)
    list.add(folder.images)
    ignored.push(folder.ignored)
  }
  const loose = top.images.length
  const nested = labels === 'folders' || (labels !== 'none' && list.size > loose)
  const beside = nested ? top.images.map(({ name }) => ({ name, reason: 'in no class folder' })) : []
  return createSet(root, list, {
    first: nested ? loose : 0,
    classes: nested ? top.folders.map(({ name }) => name) : null,
    starts,
    ignored: [...top.ignored, ...beside, ...ignored.flat()]
  })
}

interface Listing {
  /** The first image of the list that belongs to the set. */
  first: number
  classes: string[] | null
  /** Where each class begins in the list. */
  starts: readonly number[]
  ignored: Ignored[]
}

function createSet(root: string, list: FileList, { first, classes, starts, ignored }: Listing): ImageSet {
  const size = list.size - first
  if (size === 0) {
    throw new MactokError('ERR_FORMAT', `${root} holds no images (${imageFormats}), only ${countFiles(ignored.length)}`)
  }
  const labels = new Int32Array(size).fill(-1)
  if (classes) {
    for (const [label, start] of starts.entries())
      labels.fill(label, start - first, (starts[label + 1] ?? list.size) - first)
  }
  return {
    name: root,
    size,
    classes,
    ignored,
    sample: (index) => ({ name: list.name(first + index), label: labels[index] as number }),
    read: (index) => readImageFile(list.place(first + index)),
    stamp: async (index) => stampOf(await stat(list.place(first + index))),
    close: async () => {}
  }
}

/** Folders that are listed at once: on a network each answer takes its time. */
const concurrency = 8

interface Folder {
  images: Entry[]
  ignored: Ignored[]
}

/** A folder's path without links; in latin1, so that two names that are not UTF-8 differ. */
const identify = async (place: Path): Promise<string> =>
  (await realpath(place, { encoding: 'buffer' })).toString('latin1')

/** Lists everything below a folder in the order of Python's `sorted(os.walk(…))`: by folder path, then by name. */
async function walk(folder: Entry, ancestors: string[]): Promise<Folder> {
  const found: (Folder & { path: string })[] = []
  const visit = async ({ name: path, place }: Entry, above: string[]) => {
    const real = await identify(place)
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
    const kind = entry.kind.isSymbolicLink() ? await ifPresent(stat(found.place)) : entry.kind
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
  // Units of UTF-16 sort as code points do, except those from the first surrogate on.
  const isPlain = !found.some(({ name }) => /[\ud800-\uffff]/.test(name))
  return found.sort(isPlain ? (a, b) => (a.name < b.name ? -1 : 1) : (a, b) => byCodePoint(a.name, b.name))
}

const countFiles = (files: number) => `${files} other file${files === 1 ? '' : 's'}`
