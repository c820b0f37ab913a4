import { basename, dirname, join } from 'node:path'
import { text } from '../checks.js'
import { MactokError } from '../errors.js'
import { isUrl, withoutSecrets } from '../files/address.js'
import { readText } from '../files/read.js'
import { type Bytes, readImage } from './bytes.js'
import { imageFormats, isHidden, isImageExtension } from './formats.js'
import type { Ignored, ImageSet, ImageSource, Sample } from './image-set.js'
import { isTar, listLocations, prefixesOf } from './locations.js'
import { BytesOpener, type RemoteOptions } from './open-bytes.js'
import { OpenFiles } from './open-files.js'
import { prefetch } from './prefetch.js'
import { indexTar, type TarEntry } from './tar.js'

/**
 * WebDataset tars: `000000.png` beside `000000.cls` (the label in digits; optional). Opening reads the tars' headers
 * once; images are then read in place. Tars keep the order given (a folder's are sorted by name), samples that of their
 * tar. Class names come from a `classes.json` (an array) beside the tars. Tars of HTTP(S) servers are fetched by ranges into
 * a bounded cache, and `.tar.gz` is unpacked there.
 * @param path - a tar, a folder of tars, an address, or a pattern such as `train-{00000..00131}.tar` or `part-*.tar.gz`
 */
export function webDataset(path: string, options: RemoteOptions = {}): ImageSource {
  text('path', 'a tar, a folder of tars or a pattern', path)
  const opener = new BytesOpener(options)
  return { name: path, open: () => openTars(path, opener) }
}

interface Place {
  file: Bytes
  entry: TarEntry
}

/** Tars whose headers are read at once. */
const concurrency = 8

interface Tar {
  file: Bytes
  groups: Map<string, Group>
  ignored: Ignored[]
}

async function readTar(opener: BytesOpener, path: string): Promise<Tar> {
  const file = await opener.open(path)
  try {
    const index = await indexTar(file, isLabel)
    const groups = groupEntries(index.entries, file.name)
    return { file, groups: groups.samples, ignored: [...index.ignored, ...groups.ignored] }
  } catch (error) {
    await file.close()
    throw error
  }
}

async function openTars(path: string, opener: BytesOpener): Promise<ImageSet> {
  const name = withoutSecrets(path)
  const files = new OpenFiles()
  try {
    const samples: Sample[] = []
    const places: Place[] = []
    const ignored: Ignored[] = []
    const tars = await listLocations(path, isTar, '.tar')
    const prefixes = prefixesOf(tars)
    const read = (index: number) => files.add(readTar(opener, tars[index] as string), ({ file }) => file)
    let position = 0
    for await (const { file, groups, ignored: others } of prefetch(
      0,
      tars.length,
      { prefetch: concurrency, concurrency },
      read
    )) {
      const prefix = prefixes[position++] as string
      for (const other of others) ignored.push({ ...other, name: prefix + other.name })
      for (const { image, label } of groups.values()) {
        if (!image) continue
        samples.push({ name: prefix + image.name, label: label ? parseLabel(label, file.name) : -1 })
        places.push({ file, entry: image })
      }
    }
    if (samples.length === 0) {
      const others = ignored.length === 0 ? '' : `, and ${ignored.length} members are ignored: ${describe(ignored[0])}`
      throw new MactokError('ERR_FORMAT', `${name} holds no images (${imageFormats})${others}`)
    }
    const classes = await readClasses(opener, tars[0] as string, samples, ignored)
    return {
      name,
      size: samples.length,
      classes,
      ignored,
      sample: (index) => samples[index] as Sample,
      read: (index) => {
        const { file, entry } = places[index] as Place
        return readImage(file, entry.offset, entry.size)
      },
      stamp: async (index) => {
        const { file, entry } = places[index] as Place
        return `${file.stamp} ${entry.offset}`
      },
      close: () => files.close()
    }
  } catch (error) {
    await files.close()
    throw error
  }
}

const describe = (ignored: Ignored | undefined) => `${ignored?.name}, ${ignored?.reason}`

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

/** The most bytes of class names that are fetched. */
const maxClassBytes = 2 ** 20

/** The text of a file beside a tar, and its name; null where there is none. */
async function readBeside(
  opener: BytesOpener,
  tar: string,
  name: string
): Promise<{ file: string; text: string } | null> {
  if (!isUrl(tar)) {
    const file = join(dirname(tar), name)
    const text = await readText(file)
    return text === null ? null : { file, text }
  }
  const bytes = await opener.openUrl(new URL(name, tar).href).catch((error) => {
    if (error instanceof MactokError && / answered 4(?!08|25|29)\d\d\b/.test(error.message)) return null
    throw error
  })
  if (bytes === null || bytes.size > maxClassBytes) return null
  return { file: bytes.name, text: (await bytes.read(0, bytes.size)).toString('utf8') }
}

/** Reads the class names beside the tars, if there are enough of them for the labels. */
async function readClasses(
  opener: BytesOpener,
  tar: string,
  samples: Sample[],
  ignored: Ignored[]
): Promise<string[] | null> {
  const beside = await readBeside(opener, tar, 'classes.json')
  if (beside === null) return null
  const { file, text } = beside
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
