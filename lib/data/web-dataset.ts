import { type FileHandle, open, readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { text } from '../checks.js'
import { MactokError } from '../errors.js'
import { expandBraces } from './braces.js'
import { byCodePoint, imageFormats, isHidden, isImageExtension, isTar } from './formats.js'
import { readImageBytes, stampOf } from './image-file.js'
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
  stamp: string
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
    const prefixes = tarPrefixes(tars)
    for (const [position, tar] of tars.entries()) {
      const file = await openFile(tar)
      files.push(file)
      const prefix = prefixes[position] as string
      const stamp = stampOf(await file.stat())
      const index = await indexTar(file, tar, isLabel)
      const groups = groupEntries(index.entries, tar)
      for (const { name, reason } of [...index.ignored, ...groups.ignored]) {
        ignored.push({ name: prefix + name, reason })
      }
      for (const { image, label } of groups.samples.values()) {
        if (!image) continue
        samples.push({ name: prefix + image.name, label: label ? parseLabel(label, tar) : -1 })
        places.push({ file, entry: image, stamp: `${stamp} ${image.offset}` })
      }
    }
    if (samples.length === 0) {
      const others = ignored.length === 0 ? '' : `, and ${ignored.length} members are ignored: ${describe(ignored[0])}`
      throw new MactokError('ERR_FORMAT', `${path} holds no images (${imageFormats})${others}`)
    }
    const classes = await readClasses(dirname(tars[0] as string), samples, ignored)
    return {
      name: path,
      size: samples.length,
      classes,
      ignored,
      sample: (index) => samples[index] as Sample,
      read: (index) => {
        const { file, entry } = places[index] as Place
        return readImageBytes(file, entry.offset, entry.size)
      },
      stamp: async (index) => (places[index] as Place).stamp,
      close
    }
  } catch (error) {
    await close()
    throw error
  }
}

const describe = (ignored: Ignored | undefined) => `${ignored?.name}, ${ignored?.reason}`

/**
 * What names the tars of a set: nothing for one, else their file names; with their folders below the common one where
 * file names are equal.
 */
function tarPrefixes(tars: readonly string[]): string[] {
  if (tars.length === 1) return ['']
  const names = tars.map((tar) => basename(tar))
  if (new Set(names).size === names.length) return names.map((name) => `${name}/`)
  const paths = tars.map((tar) => resolve(tar).split(sep))
  const repeated = tars.find((tar, i) => tars.some((other, j) => j < i && resolve(other) === resolve(tar)))
  if (repeated !== undefined) throw new MactokError('ERR_FORMAT', `${repeated} is listed twice`)
  let common = 0
  while (paths.every((parts) => parts[common] === paths[0]?.[common])) common++
  return paths.map((parts) => `${parts.slice(common).join('/')}/`)
}

async function resolveTars(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => null)
  if (!found?.isDirectory()) return found ? [path] : expandBraces(path)
  const names = (await readdir(path)).filter((name) => isTar(name) && !isHidden(name))
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
function groupEntries(entries: TarEntry[], tar: string): { samples: Map<string, Group>; ignored: Ignored[] } {
  const samples = new Map<string, Group>()
  const ignored: Ignored[] = []
  const fail = (problem: string) => new MactokError('ERR_FORMAT', `${tar} ${problem}`)
  for (const entry of entries) {
    const file = basename(entry.name)
    if (isHidden(file)) continue
    const extension = extensionOf(file)
    const key = entry.name.slice(0, entry.name.length - extension.length).replace(/\.$/, '')
    const group: Group = samples.get(key) ?? {}
    samples.set(key, group)
    if (isImageExtension(extension)) {
      if (group.image?.name === entry.name) throw fail(`has two files named ${entry.name}`)
      if (group.image) ignored.push({ name: entry.name, reason: `a second image beside ${basename(group.image.name)}` })
      else group.image = entry
    } else if (isLabel(entry.name)) {
      if (group.label) throw fail(`has two labels of ${key}`)
      group.label = entry
    }
  }
  for (const [key, { image }] of samples) if (!image) ignored.push({ name: key, reason: 'a sample without an image' })
  return { samples, ignored }
}

/** What follows the first dot of a file's name. */
const extensionOf = (file: string) => (file.includes('.') ? file.slice(file.indexOf('.') + 1) : '')

const isLabel = (name: string) => extensionOf(basename(name)).toLowerCase() === 'cls'

/** Labels are stored as int32. */
const maxLabel = 2 ** 31 - 1

function parseLabel({ name, text = '' }: TarEntry, tar: string): number {
  const fail = (expected: string) =>
    new MactokError('ERR_FORMAT', `${name} in ${tar}: expected ${expected} but received '${text.trim().slice(0, 20)}'`)
  if (!/^\s*\d+\s*$/.test(text)) throw fail('a label in digits')
  const label = Number(text)
  if (label > maxLabel) throw fail(`a label of at most ${maxLabel}`)
  return label
}

/** Reads the class names beside the tars, if there are enough of them for the labels. */
async function readClasses(folder: string, samples: Sample[], ignored: Ignored[]): Promise<string[] | null> {
  const file = join(folder, 'classes.json')
  const text = await readFile(file, 'utf8').catch(() => null)
  if (text === null) return null
  let classes: unknown
  try {
    classes = JSON.parse(text)
  } catch (cause) {
    throw new MactokError('ERR_FORMAT', `${file} is not JSON`, { cause })
  }
  const most = samples.reduce((highest, { label }) => Math.max(highest, label), -1)
  const isList = Array.isArray(classes) && classes.every((name) => typeof name === 'string')
  if (isList && (classes as string[]).length > most) return classes as string[]
  const reason = isList ? `${(classes as string[]).length} names, but labels up to ${most}` : 'not a list of names'
  ignored.push({ name: 'classes.json', reason })
  return null
}
