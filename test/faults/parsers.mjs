/** The parsers that are fuzzed: what valid input looks like, and how it is read. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { dist } from './place.mjs'

const load = (/** @type {string} */ path) => import(new URL(path, dist).href)
const { readSafetensors, openWeightsFile } = await load('weights/index.js')
const { webDataset } = await load('data/web-dataset.js')
const { NpzFile } = await load('files/npz-reader.js')
const { decode } = await load('data/decode.js')
const { openLatents } = await load('latents/index.js')
const { readCheckpoint } = await load('runs/checkpoint.js')
const { readConfig } = await load('cli/config-file.js')

const test = fileURLToPath(new URL('..', import.meta.url))
const filesIn = (/** @type {string} */ folder, /** @type {RegExp} */ pattern) =>
  readdirSync(join(test, folder))
    .filter((name) => pattern.test(name))
    .map((name) => readFileSync(join(test, folder, name)))

/** @param {any} file @param {(file: any) => Promise<unknown>} use */
async function closing(file, use) {
  try {
    return await use(file)
  } finally {
    await file.close()
  }
}

/**
 * @typedef {object} Parser
 * @property {(place: string) => Buffer[]} seeds - valid inputs
 * @property {string} name - of the file that is mutated
 * @property {string} [inside] - the folder of the place that has it
 * @property {(file: string, folder: string) => Promise<unknown>} read
 */

/** @type {Record<string, Parser>} */
export const parsers = {
  safetensors: {
    name: 'x.safetensors',
    seeds: (place) => filesIn('cases', /\.safetensors$/).concat(readShard(place)),
    read: async (path) =>
      closing(await readSafetensors(path), (file) =>
        Promise.all(file.names().map((/** @type {string} */ name) => file.bytes(name)))
      )
  },
  torch: {
    name: 'x.pt',
    seeds: () => filesIn('golden/torch', /\.(pt|pth|bin|ckpt)$/).filter(({ length }) => length < 200_000),
    read: async (path) =>
      closing(await openWeightsFile(path), (file) =>
        Promise.all([...file.groups.values()].flatMap((group) => [...group.values()].map((tensor) => tensor.bytes())))
      )
  },
  tar: {
    name: 'x.tar',
    seeds: () => filesIn('cases', /\.tar$/),
    read: async (path) =>
      closing(await webDataset(path).open(), async (set) => {
        for (let i = 0; i < Math.min(set.size, 20); i++) await set.read(i)
      })
  },
  npz: {
    name: 'x.npz',
    seeds: () =>
      filesIn('cases', /\.npz$/).concat(filesIn('golden', /\.npz$/).filter(({ length }) => length < 500_000)),
    read: async (path) =>
      closing(await NpzFile.open(path), async (file) => {
        for (const name of file.names()) await file.numbers(name)
      })
  },
  image: {
    name: 'x.png',
    seeds: (place) => filesIn('cases', /\.(gif|png)$/).concat(readFileSync(join(place, 'images', 'class 0', '0.png'))),
    read: async (path) => decode(readFileSync(path))
  },
  manifest: {
    name: 'manifest.json',
    inside: 'shards',
    seeds: (place) => [unsealed(join(place, 'shards', 'manifest.json'))],
    read: async (_, folder) => closing(await openLatents(folder), (shards) => shards.rows([0]))
  },
  statistics: {
    name: 'latents_stats.json',
    inside: 'shards',
    seeds: (place) => [unsealed(join(place, 'shards', 'latents_stats.json'))],
    read: async (_, folder) => closing(await openLatents(folder), (shards) => shards.statistics())
  },
  state: {
    name: 'state.json',
    inside: 'run/checkpoints/step-0000060',
    seeds: (place) => [unsealed(join(place, 'run/checkpoints/step-0000060/state.json'))],
    read: async (_, folder) => readCheckpoint(folder)
  },
  yaml: {
    name: 'x.yaml',
    seeds: () => filesIn('cases', /\.yaml$/),
    read: async (path) => readConfig(path)
  }
}

/** A JSON file without its checksum, which would refuse every change before anything else does. @param {string} file */
function unsealed(file) {
  const { sha256: _, ...content } = JSON.parse(readFileSync(file, 'utf8'))
  return Buffer.from(JSON.stringify(content))
}

/** @param {string} place */
function readShard(place) {
  const name = readdirSync(join(place, 'shards')).find((file) => file.endsWith('.safetensors'))
  return [readFileSync(join(place, 'shards', /** @type {string} */ (name)))]
}
