import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { oneOf, text } from '../checks.js'
import { MactokError } from '../errors.js'
import { byCodePoint, imageFormats, isHidden, notAnImage } from './formats.js'
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
  for (const name of top.folders) folders.push(await walk(root, name, [await realpath(root)]))
  const nested = labels === 'folders' || (labels !== 'none' && folders.some(({ images }) => images.length > 0))

  const ignored: Ignored[] = [...top.ignored]
  const samples: Sample[] = []
  const addSamples = (names: string[], label: number) => {
    for (const name of names) samples.push({ name, label })
  }
  if (nested) {
    for (const name of top.images) ignored.push({ name, reason: 'in no class folder' })
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

/** Lists everything below a folder in the order of Python's `sorted(os.walk(…))`: by folder path, then by name. */
async function walk(root: string, folder: string, ancestors: string[]): Promise<Folder> {
  const found: (Folder & { path: string })[] = []
  const visit = async (path: string, above: string[]) => {
    const place = await realpath(join(root, path))
    if (above.includes(place)) {
      found.push({ path, images: [], ignored: [{ name: path, reason: 'a link to a folder above it' }] })
      return
    }
    const { folders, ...files } = await listFolder(root, path)
    found.push({ path, ...files })
    for (const name of folders) await visit(`${path}/${name}`, [...above, place])
  }
  await visit(folder, ancestors)
  found.sort((a, b) => byCodePoint(a.path, b.path))
  return { images: found.flatMap(({ images }) => images), ignored: found.flatMap(({ ignored }) => ignored) }
}

/** Lists the visible entries of one folder, sorted: `folders` as plain names, files as paths from `root`. */
async function listFolder(root: string, path: string): Promise<Folder & { folders: string[] }> {
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

const countFiles = (files: number) => `${files} other file${files === 1 ? '' : 's'}`
