/** The parsers that are fuzzed: what valid files look like, how they are written, and how they are read. */

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import {
  readLegacy,
  readNpy,
  readPng,
  readSafetensors,
  readTar,
  readTorch,
  readZip,
  toBytes,
  writeImage,
  writeJson,
  writeLines,
  writeNpy,
  writeSafetensors,
  writeTar,
  writeZip
} from './formats.mjs'
import { dist } from './place.mjs'

const load = (/** @type {string} */ path) => import(new URL(path, dist).href)
const { readSafetensors: openSafetensors, openWeightsFile } = await load('weights/index.js')
const { webDataset } = await load('data/web-dataset.js')
const { NpzFile } = await load('files/npz-reader.js')
const { decode, decodeFast } = await load('data/decode.js')
const { openLatents } = await load('latents/index.js')
const { readCheckpoint } = await load('runs/checkpoint.js')
const { findTokenizer } = await load('tokenizer/folder.js')
const { inspect } = await load('report/inspect.js')
const { readConfig } = await load('cli/config-file.js')
const { seal } = await load('files/checksums.js')

const test = fileURLToPath(new URL('..', import.meta.url))
const filesIn = (/** @type {string} */ folder, /** @type {RegExp} */ pattern, most = 10_000) =>
  readdirSync(join(test, folder))
    .filter((name) => pattern.test(name))
    .map((name) => readFileSync(join(test, folder, name)))
    .filter(({ length }) => length < most)
const jsonOf = (/** @type {string[]} */ ...path) => JSON.parse(readFileSync(join(...path), 'utf8'))

/** @param {any} file @param {(file: any) => Promise<unknown>} use */
async function closing(file, use) {
  try {
    return await use(file)
  } finally {
    await file.close()
  }
}

/** @param {{ groups: Map<string, Map<string, { bytes(): Promise<unknown> }>> }} file */
const readTensors = ({ groups }) =>
  Promise.all([...groups.values()].flatMap((group) => [...group.values()].map((tensor) => tensor.bytes())))
const openTorch = async (/** @type {string} */ path) => closing(await openWeightsFile(path), readTensors)

/** Writes a JSON file of ours: where it has checksums, its own is right. @param {string} name */
const writeSealed = (name) => (/** @type {any} */ tree) => {
  const text = writeJson(tree)
  try {
    const { sha256, ...content } = JSON.parse(text.toString())
    const { [name]: _, ...others } = sha256
    const files = Object.entries(others).map(([file, sum]) => [file, { sha256: sum }])
    return Buffer.from(JSON.stringify(seal(name, content, Object.fromEntries(files))))
  } catch {
    return text
  }
}

/** A valid file, and without its checksums. @param {any} content */
const withoutSeal = ({ sha256, ...content }) => [content, { ...content, sha256 }]

const shard = 'latents_rank00_shard000.safetensors'

/**
 * @typedef {object} Parser
 * @property {(place: string) => any[] | Promise<any[]>} seeds - valid files, as trees
 * @property {(tree: any) => Buffer} write
 * @property {string} name - of the file that is mutated
 * @property {string} [inside] - the folder of the place that has it
 * @property {(file: string, folder: string) => Promise<unknown>} read
 * @property {RegExp} [first] - what its first check says of files of another format
 */

const notJson = /is not JSON|is not a JSON object|missing or broken|not a manifest/

/**
 * A JSON file of ours with a checksum of its own.
 * @param {string} inside @param {string} name @param {Parser['read']} read
 * @returns {Parser}
 */
const sealed = (inside, name, read) => ({
  ...{ name, inside, read },
  seeds: (place) => withoutSeal(jsonOf(place, inside, name)),
  write: writeSealed(name),
  first: notJson
})

/** @type {Record<string, Parser>} */
export const parsers = {
  safetensors: {
    name: 'x.safetensors',
    seeds: () =>
      filesIn('golden', /^(expected|mixture|philox)\.safetensors$/)
        .concat(filesIn('golden/torch', /\.safetensors$/))
        .map(readSafetensors),
    write: writeSafetensors,
    read: async (path) => {
      await inspect(path)
      await closing(await openSafetensors(path), (file) =>
        Promise.all(file.names().map((/** @type {string} */ name) => file.bytes(name)))
      )
    },
    first: /header (is not JSON|ends|would)|fewer than 8|web page|LFS|truncated/
  },
  torch: {
    name: 'x.pt',
    seeds: () => filesIn('golden/torch', /^(zip\d|compressed)\.pt$/).map(readTorch),
    write: writeZip,
    read: openTorch,
    first: /PytorchStreamReader|neither format|header (is not JSON|ends|would)/
  },
  'torch before 1.6': {
    name: 'x.pt',
    seeds: () => filesIn('golden/torch', /^old\d\.pt$/).map(readLegacy),
    write: toBytes,
    read: openTorch,
    first: /neither format|header (is not JSON|ends|would)/
  },
  tar: {
    name: 'x.tar',
    seeds: () => filesIn('cases', /\.tar$/, 30_000).map(readTar),
    write: writeTar,
    read: async (path) =>
      closing(await webDataset(path).open(), async (set) => {
        for (let i = 0; i < Math.min(set.size, 20); i++) await set.read(i)
      }),
    first: /not an uncompressed tar|damaged tar header|cut short/
  },
  npz: {
    name: 'x.npz',
    seeds: () =>
      filesIn('golden', /\.npz$/)
        .concat(filesIn('cases', /\.npz$/))
        .map((bytes) => readZip(bytes, (_, content) => readNpy(content))),
    write: (tree) => writeZip(tree, writeNpy),
    read: async (path) =>
      closing(await NpzFile.open(path), async (file) => {
        for (const name of file.names()) await file.numbers(name)
      }),
    first: /not an \.npz archive|not a NumPy array/
  },
  image: { name: 'x.png', seeds: makeImages, write: writeImage, read: readImage, first: /not an image|empty file/ },
  shard: {
    name: shard,
    inside: 'shards',
    seeds: (place) => [readSafetensors(readFileSync(join(place, 'shards', shard)))],
    write: writeSafetensors,
    read: async (file, folder) => {
      const [bytes, { sha256: _, ...manifest }] = [readFileSync(file), jsonOf(folder, 'manifest.json')]
      Object.assign(manifest.shards[0], {
        bytes: bytes.length,
        sha256: createHash('sha256').update(bytes).digest('hex')
      })
      writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest))
      await readShards(folder)
    },
    first: /header (is not JSON|ends|would)|fewer than 8|web page|LFS|truncated/
  },
  manifest: sealed('shards', 'manifest.json', (_, folder) => readShards(folder)),
  statistics: sealed('shards', 'latents_stats.json', async (_, folder) =>
    closing(await openLatents(folder), (shards) => shards.statistics())
  ),
  state: sealed('run/checkpoints/step-0000060', 'state.json', async (_, folder) => readCheckpoint(folder)),
  config: sealed('run/checkpoints/step-0000060', 'config.json', async (_, folder) => findTokenizer(folder)),
  run: sealed('run', 'run.json', (_, folder) => inspect(folder)),
  metrics: {
    name: 'metrics.jsonl',
    inside: 'run',
    seeds: (place) => [
      readFileSync(join(place, 'run/metrics.jsonl'), 'utf8')
        .split('\n', 5)
        .map((line) => JSON.parse(line))
    ],
    write: writeLines,
    read: (_, folder) => inspect(folder)
  },
  yaml: {
    name: 'x.yaml',
    seeds: (place) =>
      filesIn('cases', /\.yaml$/)
        .map((bytes) => bytes.toString().split('\n'))
        .concat([[jsonOf(place, 'tokenizer.json')]]),
    write: writeLines,
    read: async (path) => readConfig(path),
    first: /Cannot read/
  }
}

/** @param {string} folder */
const readShards = async (folder) =>
  closing(await openLatents(folder), async (shards) => {
    await shards.rows([0])
    return [shards.names(), shards.classCount, await shards.computeStatistics()]
  })

/** @param {string} path */
async function readImage(path) {
  const bytes = readFileSync(path)
  await decode(bytes)
  await decodeFast(bytes, 4)
}

/** Small images of all formats and kinds. */
async function makeImages() {
  const pixels = Buffer.from(Array.from({ length: 9 * 7 * 4 }, (_, i) => (i * i * 37) % 256))
  const image = () => sharp(pixels, { raw: { width: 9, height: 7, channels: 4 } })
  const opaque = () => image().removeAlpha()
  const [truecolour, palette, deep, interlaced] = await Promise.all([
    opaque().png().toBuffer(),
    image().png({ palette: true }).toBuffer(),
    opaque().toColourspace('rgb16').png().toBuffer(),
    image().png({ progressive: true }).withMetadata({ orientation: 6 }).toBuffer()
  ])
  const others = await Promise.all([
    opaque().jpeg().toBuffer(),
    opaque().jpeg({ progressive: true }).withMetadata({ orientation: 5 }).toBuffer(),
    opaque().toColourspace('cmyk').jpeg().toBuffer(),
    image().gif().toBuffer(),
    image().webp().toBuffer(),
    opaque().tiff().toBuffer(),
    opaque().avif().toBuffer()
  ])
  return [...[truecolour, palette, deep, interlaced].map((bytes) => readPng(bytes)), ...others]
}
