import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { invalidParameter, MactokError } from '../errors.js'
import { byCodePoint, FORMATS, isHidden, notAnImage } from './formats.js'
import type { Ignored, ImageSet, ImageSource, Sample } from './image-set.js'

export interface ImageFolderOptions {
  /** `folders`: the sub-folders are the classes; `none`: no labels, every image below the folder. Default: `folders` where sub-folders hold images. */
  labels?: 'folders' | 'none'
}

/**
 * A folder of images: one sub-folder a class, labelled and ordered as torchvision's `ImageFolder` does (classes, then paths,
 * by code point; links followed), or flat. Hidden files and folders are passed over, so that `.ipynb_checkpoints` is no class.
 * What is not an image, and images beside the class folders, are told in `ignored`.
 */
export function imageFolder(path: string, options: ImageFolderOptions = {}): ImageSource {
  if (typeof path !== 'string' || path === '') throw invalidParameter('path', 'a folder', path)
  const { labels } = options
  if (labels !== undefined && labels !== 'folders' && labels !== 'none') {
    throw invalidParameter('labels', "'folders' or 'none'", labels)
  }
  return { name: path, open: () => openFolder(path, labels) }
}

async function openFolder(root: string, labels: ImageFolderOptions['labels']): Promise<ImageSet> {
  const top = await list(root, '')
  const folders: Folder[] = []
  for (const name of top.folders) folders.push(await walk(root, name, [await realpath(root)]))
  const nested = labels === 'folders' || (labels !== 'none' && folders.some(({ images }) => images.length > 0))

  const ignored: Ignored[] = [...top.ignored]
  const samples: Sample[] = []
  const take = (names: string[], label: number) => {
    for (const name of names) samples.push({ name, label })
  }
  if (nested) {
    for (const name of top.images) ignored.push({ name, reason: 'in no class folder' })
  } else {
    take(top.images, -1)
  }
  for (const [index, folder] of folders.entries()) {
    ignored.push(...folder.ignored)
    take(folder.images, nested ? index : -1)
  }
  if (samples.length === 0) {
    throw new MactokError('ERR_FORMAT', `${root} holds no images (${FORMATS}), only ${count(ignored.length)}`)
  }
  return {
    name: root,
    size: samples.length,
    classes: nested ? top.folders : null,
    ignored,
    sample: (index) => samples[index] as Sample,
    read: (index) => readFile(join(root, (samples[index] as Sample).name)),
    close: async () => {}
  }
}

interface Folder {
  images: string[]
  ignored: Ignored[]
}

/** Everything below a folder, in the order of Python's `sorted(os.walk(…))`: by folder path, then by name. */
async function walk(root: string, folder: string, ancestors: string[]): Promise<Folder> {
  const found: (Folder & { path: string })[] = []
  const visit = async (path: string, above: string[]) => {
    const place = await realpath(join(root, path))
    if (above.includes(place)) {
      found.push({ path, images: [], ignored: [{ name: path, reason: 'a link to a folder above it' }] })
      return
    }
    const { folders, ...files } = await list(root, path)
    found.push({ path, ...files })
    for (const name of folders) await visit(`${path}/${name}`, [...above, place])
  }
  await visit(folder, ancestors)
  found.sort((a, b) => byCodePoint(a.path, b.path))
  return { images: found.flatMap(({ images }) => images), ignored: found.flatMap(({ ignored }) => ignored) }
}

/** The visible entries of one folder, sorted: `folders` by their own names, files by their paths from `root`. */
async function list(root: string, path: string): Promise<Folder & { folders: string[] }> {
  const entries = await readdir(join(root, path), { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
    const what = cause.code === 'ENOTDIR' ? 'is not a folder' : `cannot be listed (${cause.code})`
    throw new MactokError('ERR_FORMAT', `${join(root, path)} ${what}`, { cause })
  })
  const listing = { folders: [] as string[], images: [] as string[], ignored: [] as Ignored[] }
  for (const entry of entries.sort((a, b) => byCodePoint(a.name, b.name))) {
    if (isHidden(entry.name)) continue
    const name = path ? `${path}/${entry.name}` : entry.name
    const kind = entry.isSymbolicLink() ? await stat(join(root, name)).catch(() => null) : entry
    if (kind?.isDirectory()) {
      listing.folders.push(entry.name)
      continue
    }
    const reason = kind === null ? 'a broken link' : kind.isFile() ? notAnImage(entry.name) : 'not a file'
    if (reason) listing.ignored.push({ name, reason })
    else listing.images.push(name)
  }
  return listing
}

const count = (files: number) => `${files} other file${files === 1 ? '' : 's'}`
