import { type FileHandle, open, readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { text } from '../checks.js'
import { MactokError } from '../errors.js'
import { expandBraces } from './braces.js'
import { byCodePoint, imageFormats, isHidden, isImageExtension } from './formats.js'
import type { Ignored, ImageSet, ImageSource, Sample } from './image-set.js'
import { indexTar, type TarEntry } from './tar.js'

/**
 * WebDataset tars: `000000.png` beside `000000.cls` (the label in digits; optional). Opening reads the tars' headers
 * once; images are then read in place. Tars keep the order given (a folder's are sorted by name), samples that of their
 * tar. Class names come from a `classes.json` (an array) beside the tars.
 * @param path - a tar, a folder of tars, or a pattern such as `train-{00000..00131}.tar`
 */
export function webDataset(path: string): ImageSource {
  text('path', 'a tar, a folder of tars or a pattern', path)
  return { name: path, open: () => openTars(path) }
}

interface Place {
  file: FileHandle
  entry: TarEntry
}

async function openTars(path: string): Promise<ImageSet> {
  const files: FileHandle[] = []
  const close = async () => {
    await Promise.all(files.splice(0).map((file) => file.close()))
  }
  try {
    const samples: Sample[] = []
    const places: Place[] = []
    const ignored: Ignored[] = []
    const tars = await resolveTars(path)
    for (const tar of tars) {
      const file = await openFile(tar)
      files.push(file)
      const prefix = tars.length === 1 ? '' : `${basename(tar)}/`
      for (const [key, { image, label }] of groupEntries(await indexTar(file, tar, isLabel))) {
        if (!image) {
          ignored.push({ name: prefix + key, reason: 'a sample without an image' })
          continue
        }
        samples.push({ name: prefix + image.name, label: label ? parseLabel(label, tar) : -1 })
        places.push({ file, entry: image })
      }
    }
    if (samples.length === 0) throw new MactokError('ERR_FORMAT', `${path} holds no images (${imageFormats})`)
    return {
      name: path,
      size: samples.length,
      classes: await readClasses(dirname(tars[0] as string), samples),
      ignored,
      sample: (index) => samples[index] as Sample,
      read: (index) => {
        const { file, entry } = places[index] as Place
        return readEntry(file, entry)
      },
      close
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function resolveTars(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => null)
  if (!found?.isDirectory()) return found ? [path] : expandBraces(path)
  const names = (await readdir(path)).filter((name) => name.endsWith('.tar') && !isHidden(name))
  if (names.length === 0) throw new MactokError('ERR_FORMAT', `${path} holds no .tar`)
  return names.sort(byCodePoint).map((name) => join(path, name))
}

const openFile = (path: string) =>
  open(path).catch((cause: NodeJS.ErrnoException) => {
    throw new MactokError('ERR_FORMAT', `${path} cannot be opened (${cause.code})`, { cause })
  })

interface Group {
  image?: TarEntry
  label?: TarEntry
}

/** Groups a tar's entries by sample: files of one folder whose names agree up to the first dot. */
function groupEntries(entries: TarEntry[]): Map<string, Group> {
  const groups = new Map<string, Group>()
  for (const entry of entries) {
    const file = basename(entry.name)
    if (isHidden(file)) continue
    const extension = file.includes('.') ? file.slice(file.indexOf('.') + 1) : ''
    const key = entry.name.slice(0, entry.name.length - extension.length).replace(/\.$/, '')
    const group: Group = groups.get(key) ?? {}
    groups.set(key, group)
    if (!group.image && isImageExtension(extension)) group.image = entry
    else if (extension === 'cls') group.label = entry
  }
  return groups
}

async function readEntry(file: FileHandle, { name, offset, size }: TarEntry): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(size)
  const { bytesRead } = await file.read(bytes, 0, size, offset)
  if (bytesRead !== size) throw new MactokError('ERR_FORMAT', `${name} ends after ${bytesRead} of ${size} bytes`)
  return bytes
}

const isLabel = (name: string) => name.endsWith('.cls')

function parseLabel({ name, text = '' }: TarEntry, tar: string): number {
  if (/^\s*\d+\s*$/.test(text)) return Number(text)
  throw new MactokError(
    'ERR_FORMAT',
    `${name} in ${tar}: expected a label in digits but received '${text.slice(0, 20)}'`
  )
}

/** Reads the class names beside the tars, if there are enough of them for the labels. */
async function readClasses(folder: string, samples: Sample[]): Promise<string[] | null> {
  const text = await readFile(join(folder, 'classes.json'), 'utf8').catch(() => null)
  if (text === null) return null
  const classes: unknown = JSON.parse(text)
  const most = samples.reduce((highest, { label }) => Math.max(highest, label), -1)
  const named = Array.isArray(classes) && classes.length > most && classes.every((name) => typeof name === 'string')
  return named ? classes : null
}
