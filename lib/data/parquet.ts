import type { AsyncBuffer, Compressors, FileMetaData } from 'hyparquet'
import { text } from '../checks.js'
import { MactokError } from '../errors.js'
import { withoutSecrets } from '../files/address.js'
import type { Bytes } from './bytes.js'
import { maxImageBytes } from './image-file.js'
import type { ImageSet, ImageSource, Sample } from './image-set.js'
import { isParquet, listLocations, prefixesOf } from './locations.js'
import { BytesOpener, type RemoteOptions } from './open-bytes.js'
import { OpenFiles } from './open-files.js'
import { prefetch } from './prefetch.js'

/**
 * Parquet files in Hugging Face's layout of images: a column `image` (or `img`) of `{ bytes, path }`, or of bytes, and an optional
 * integer column `label`, null or −1 for none. Opening reads metadata and labels; images are read a row group at a time. Class
 * names come from the metadata that the datasets library writes.
 * @param path - a file, a folder of them, an address, or a pattern such as `train-{00000..00293}-of-00294.parquet`
 */
export function parquetImages(path: string, options: RemoteOptions = {}): ImageSource {
  text('path', 'a parquet file, a folder of them or a pattern', path)
  const opener = new BytesOpener(options)
  return { name: path, open: () => openParquet(path, opener) }
}

/** The most bytes of a file's metadata. */
const maxMetadataBytes = 2 ** 28
/** The most bytes of a row group, which is read whole. Hugging Face's have 100 images. */
const maxGroupBytes = 2 ** 30
/** Memory for row groups that were read. */
const keptBytes = 2 ** 28
/** Files whose metadata are read at once. */
const concurrency = 8
/** Labels are stored as int32. */
const maxLabel = 2 ** 31 - 1

interface Group {
  file: ParquetFile
  /** Its rows in the file: [start, end). */
  start: number
  end: number
  bytes: number
}

interface ParquetFile {
  bytes: Bytes
  buffer: AsyncBuffer
  metadata: FileMetaData
  groups: Group[]
  labels: Int32Array
  classes: string[] | null
  column: string
}

const fail = ({ name }: Bytes, problem: string) => new MactokError('ERR_FORMAT', `${name} ${problem}`)

/** Turns the reader's errors about a file's content into ours, and leaves those of the system. */
const damaged = (bytes: Bytes) => (cause: unknown) => {
  if (cause instanceof MactokError || (cause as NodeJS.ErrnoException).errno !== undefined) throw cause
  throw new MactokError('ERR_FORMAT', `${bytes.name} is damaged: ${(cause as Error).message}`, { cause })
}

function toBuffer(bytes: Bytes): AsyncBuffer {
  const read = async (start: number, end: number) => {
    const isWithin = Number.isSafeInteger(start) && 0 <= start && start <= end && end <= bytes.size
    if (!isWithin || end - start > maxGroupBytes) throw fail(bytes, 'is damaged: it names bytes that it does not have')
    return new Uint8Array(await bytes.read(start, end - start)).buffer
  }
  return {
    byteLength: bytes.size,
    slice: (start, end = bytes.size) => {
      const part = read(start, end)
      // The reader requests several parts at once, and waits for none after the first failure.
      part.catch(() => {})
      return part
    }
  }
}

/** Decompressors that refuse to make more of a page than a row group may have. */
async function boundedCompressors(): Promise<Compressors> {
  const { compressors } = await import('hyparquet-compressors')
  const bound =
    (decompress: (input: Uint8Array, size: number) => Uint8Array) =>
    (input: Uint8Array, size: number): Uint8Array => {
      if (size > maxGroupBytes) throw new RangeError(`a page of ${size} bytes, more than ${maxGroupBytes}`)
      return decompress(input, size)
    }
  return Object.fromEntries(Object.entries(compressors).map(([codec, each]) => [codec, bound(each)]))
}

async function readMetadata(bytes: Bytes, buffer: AsyncBuffer): Promise<FileMetaData> {
  const { parquetMetadataAsync } = await import('hyparquet')
  const end = bytes.size < 12 ? null : await bytes.read(bytes.size - 8, 8)
  if (end?.toString('latin1', 4) !== 'PAR1') throw fail(bytes, 'is not a parquet file, or was cut short')
  const length = end.readUInt32LE(0)
  if (length > Math.min(maxMetadataBytes, bytes.size - 8)) throw fail(bytes, `has ${length} bytes of metadata`)
  return parquetMetadataAsync(buffer, { geoparquet: false }).catch(damaged(bytes))
}

/** The column of images: a group with `bytes`, or bytes themselves. */
function findColumn(bytes: Bytes, { schema }: FileMetaData): string {
  for (const name of ['image', 'img']) {
    const at = schema.findIndex((element) => element.name === name)
    if (at < 0) continue
    const children = schema.slice(at + 1, at + 1 + (schema[at]?.num_children ?? 0))
    const isBytes = (element: (typeof schema)[number] | undefined) => element?.type === 'BYTE_ARRAY'
    if (isBytes(schema[at]) || children.some((child) => child.name === 'bytes' && isBytes(child))) return name
  }
  const names = schema.slice(1).map(({ name }) => name)
  throw fail(bytes, `has no column image with bytes, only ${names.slice(0, 10).join(', ')}`)
}

function listGroups(file: Omit<ParquetFile, 'groups'>): Group[] {
  const { bytes, metadata, column } = file
  const groups: Group[] = []
  let start = 0
  for (const { num_rows, columns } of metadata.row_groups) {
    const rows = Number(num_rows)
    const own = columns.filter(({ meta_data }) => meta_data?.path_in_schema[0] === column)
    const size = own.reduce((sum, { meta_data }) => sum + Number(meta_data?.total_uncompressed_size ?? 0), 0)
    // Each row takes at least the bytes of its length.
    if (!(rows >= 0 && rows <= size)) throw fail(bytes, `has a row group of ${rows} rows in ${size} bytes`)
    if (size > maxGroupBytes) {
      throw fail(
        bytes,
        `has a row group of ${size} bytes, more than ${maxGroupBytes}: write it again with row_group_size=100`
      )
    }
    groups.push({ file: file as ParquetFile, start, end: start + rows, bytes: size })
    start += rows
  }
  if (start !== Number(metadata.num_rows))
    throw fail(bytes, `has ${start} rows, but its metadata says ${metadata.num_rows}`)
  return groups
}

async function readLabels({ bytes, buffer, metadata }: Pick<ParquetFile, 'bytes' | 'buffer' | 'metadata'>) {
  const rows = Number(metadata.num_rows)
  const labels = new Int32Array(rows).fill(-1)
  const column = metadata.schema.find(({ name }) => name === 'label')
  if (!column) return labels
  if (column.type !== 'INT64' && column.type !== 'INT32')
    throw fail(bytes, `has labels of type ${column.type}, expected integers`)
  const { parquetReadObjects } = await import('hyparquet')
  const compressors = await boundedCompressors()
  const read = await parquetReadObjects({ file: buffer, metadata, columns: ['label'], compressors }).catch(
    damaged(bytes)
  )
  if (read.length !== rows) throw fail(bytes, `has ${read.length} labels for ${rows} rows`)
  for (const [row, { label }] of read.entries()) {
    const value = label === null || label === undefined ? -1 : Number(label)
    if (!Number.isInteger(value) || value < -1 || value > maxLabel) {
      throw fail(bytes, `has label ${value} in row ${row}, expected −1 to ${maxLabel}`)
    }
    labels[row] = value
  }
  return labels
}

/** Class names in the metadata of the datasets library; null where there are none, or too few for the labels. */
function readClasses({ key_value_metadata }: FileMetaData): string[] | null {
  const value = key_value_metadata?.find(({ key }) => key === 'huggingface')?.value
  try {
    const names = value && JSON.parse(value).info.features.label.names
    return Array.isArray(names) && names.every((name) => typeof name === 'string') ? names : null
  } catch {
    return null
  }
}

async function openFile(opener: BytesOpener, path: string): Promise<ParquetFile> {
  const bytes = await opener.open(path)
  try {
    const buffer = toBuffer(bytes)
    const metadata = await readMetadata(bytes, buffer)
    const column = findColumn(bytes, metadata)
    const labels = await readLabels({ bytes, buffer, metadata })
    const file: ParquetFile = { bytes, buffer, metadata, labels, column, classes: readClasses(metadata), groups: [] }
    file.groups = listGroups(file)
    return file
  } catch (error) {
    await bytes.close()
    throw error
  }
}

/** Reads the images of a row group; null for a row without bytes. */
async function readGroup({ file, start, end }: Group): Promise<(Uint8Array | null)[]> {
  const { parquetReadObjects } = await import('hyparquet')
  const { bytes, buffer, metadata, column } = file
  const options = { file: buffer, metadata, columns: [column], rowStart: start, rowEnd: end, utf8: false }
  const rows = await parquetReadObjects({ ...options, compressors: await boundedCompressors() }).catch(damaged(bytes))
  if (rows.length !== end - start) throw fail(bytes, `has ${rows.length} images for ${end - start} rows`)
  return rows.map((row) => {
    const content = row[column] instanceof Uint8Array ? row[column] : row[column]?.bytes
    return content instanceof Uint8Array ? content : null
  })
}

/** Row groups that were read last, up to `keptBytes`; images of one are requested one after the other. */
class GroupCache {
  readonly #groups = new Map<Group, Promise<(Uint8Array | null)[]>>()
  #bytes = 0

  read(group: Group): Promise<(Uint8Array | null)[]> {
    const known = this.#groups.get(group)
    const images = known ?? readGroup(group)
    // The last in the order of use.
    this.#groups.delete(group)
    this.#groups.set(group, images)
    if (!known) {
      this.#bytes += group.bytes
      images.catch(() => this.#drop(group))
      for (const oldest of [...this.#groups.keys()]) {
        if (this.#bytes <= keptBytes || oldest === group) break
        this.#drop(oldest)
      }
    }
    return images
  }

  #drop(group: Group): void {
    if (this.#groups.delete(group)) this.#bytes -= group.bytes
  }

  clear(): void {
    this.#groups.clear()
    this.#bytes = 0
  }
}

async function openParquet(path: string, opener: BytesOpener): Promise<ImageSet> {
  const files = new OpenFiles()
  try {
    return await listParquet(path, opener, files)
  } catch (error) {
    await files.close()
    throw error
  }
}

/** Lists the rows of files, which it adds to `opened`. */
async function listParquet(path: string, opener: BytesOpener, opened: OpenFiles): Promise<ImageSet> {
  const name = withoutSecrets(path)
  const files: ParquetFile[] = []
  const locations = await listLocations(path, isParquet, '.parquet')
  const prefixes = prefixesOf(locations)
  const samples: Sample[] = []
  const places: { group: Group; row: number }[] = []
  const read = (index: number) => opened.add(openFile(opener, locations[index] as string), ({ bytes }) => bytes)
  for await (const file of prefetch(0, locations.length, { prefetch: concurrency, concurrency }, read)) {
    const prefix = prefixes[files.length] as string
    const digits = Math.max(6, `${file.labels.length}`.length)
    for (const group of file.groups) {
      for (let row = group.start; row < group.end; row++) {
        samples.push({ name: `${prefix}${String(row).padStart(digits, '0')}`, label: file.labels[row] as number })
        places.push({ group, row })
      }
    }
    files.push(file)
  }
  if (samples.length === 0) throw new MactokError('ERR_FORMAT', `${name} holds no rows`)
  const most = samples.reduce((highest, { label }) => Math.max(highest, label), -1)
  const classes = files[0]?.classes ?? null
  const cache = new GroupCache()
  return {
    name,
    size: samples.length,
    classes: classes && classes.length > most ? classes : null,
    ignored: [],
    sample: (index) => samples[index] as Sample,
    read: async (index) => {
      const { group, row } = places[index] as (typeof places)[number]
      const image = (await cache.read(group))[row - group.start]
      if (!image) throw new MactokError('ERR_FORMAT', 'a row without bytes')
      if (image.length > maxImageBytes)
        throw new MactokError('ERR_FORMAT', `${image.length} bytes, more than ${maxImageBytes}`)
      return Buffer.from(image.buffer, image.byteOffset, image.byteLength)
    },
    stamp: async (index) => {
      const { group, row } = places[index] as (typeof places)[number]
      return `${group.file.bytes.stamp} ${row}`
    },
    close: async () => {
      cache.clear()
      await opened.close()
    }
  }
}
