/** What all parts share: seeded random numbers, the command line, and a trained tokenizer with shards. */

import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { withShim } from './shim.mjs'

export const dist = new URL('../../dist/', import.meta.url)
const main = fileURLToPath(new URL('cli/main.js', dist))

/**
 * The environment of a child with a cache of its own, without this machine's weights, which make calls slow, but with its LibTorch.
 * @param {string} cache
 * @returns {Promise<NodeJS.ProcessEnv>}
 */
export async function withCache(cache) {
  const { libtorchOrigin } = await import(new URL('native/load.js', dist).href)
  return {
    ...process.env,
    LIBTORCH: libtorchOrigin().folder,
    MACTOK_CACHE: cache,
    MACTOK_WEIGHTS: '',
    HF_HUB_CACHE: join(cache, 'hub'),
    OMP_NUM_THREADS: '1'
  }
}

/** Numbers in [0, 1) that depend on the seed alone (mulberry32). @param {number} seed */
export function randomNumbers(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** An integer in [0, below). @param {() => number} random @param {number} below */
export const pick = (random, below) => Math.floor(random() * below)

/** @template T @param {readonly T[]} list @param {() => number} random @returns {T[]} */
export const shuffle = (list, random) =>
  list
    .map((value) => ({ value, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ value }) => value)

/** Runs jobs, two at a time. @template T @param {readonly (() => Promise<T>)[]} jobs @returns {Promise<T[]>} */
export async function inParallel(jobs) {
  /** @type {T[]} */
  const results = []
  let next = 0
  const work = async () => {
    while (next < jobs.length) {
      const job = next++
      results[job] = await /** @type {() => Promise<T>} */ (jobs[job])()
    }
  }
  await Promise.all([work(), work()])
  return results
}

/**
 * Runs a command; kills it with SIGKILL after some milliseconds.
 * @param {string[]} args
 * @param {{ killAfter?: number | undefined, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<{ code: number | null, signal: string | null, output: string, milliseconds: number }>}
 */
export function mactok(args, { killAfter, env = {} } = {}) {
  const started = Date.now()
  const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, OMP_NUM_THREADS: '1', ...env } })
  const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, output, milliseconds: Date.now() - started })
    })
  })
}

/** Runs a command that must succeed. @param {string[]} args @param {NodeJS.ProcessEnv} [env] */
export async function must(args, env) {
  const done = await mactok(args, { env })
  if (done.code !== 0) throw new Error(`mactok ${args.join(' ')} ended with ${done.code}: ${done.output}`)
  return done
}

const vit = { width: 32, depth: 1, heads: 2, layerScale: 1 }
const settings = {
  tokenizer: { imageSize: 16, patchSize: 4, latentTokens: 8, latentChannels: 4, encoder: vit, decoder: vit },
  batch: 4,
  steps: 60,
  precision: 'fp32',
  masking: { semantic: 0 },
  align: { local: false, global: false },
  log: { every: 1 },
  checkpoint: { every: 5, keep: 2 }
}

/** The arguments of a command that writes to `out`. @typedef {(out: string) => string[]} Command */

/**
 * Commands that write results, by name: each resumes in `out`, or starts again.
 * @param {string} place
 * @returns {Record<string, Command>}
 */
export function commands(place) {
  const at = (/** @type {string} */ name) => join(place, name)
  const training = (/** @type {string} */ out) => ['--out', out, '--device', 'cpu', '--resume']
  const models = [at('generator'), '--tokenizer', at('run'), '--device', 'cpu', '--steps', '2']
  const drawn = ['--count', '16', '--batch', '4']
  /** @type {Command} */
  const tokenizer = (out) => [
    ...['train', 'tokenizer', '--config', at('tokenizer.json'), '--data', at('images')],
    ...training(out)
  ]
  /** @type {Command} */
  const encode = (out) => [
    ...['encode', at('run'), '--data', at('images'), '--out', out, '--device', 'cpu'],
    ...['--shard-size', '8', '--batch', '4']
  ]
  /** @type {Command} */
  const sample = (out) => ['sample', ...models, '--npz', join(out, 'samples.npz'), ...drawn]
  const byRanks = (/** @type {Command} */ command) => (/** @type {string} */ out) => [
    ...['launch', '--nproc', '2', '--'],
    ...command(out)
  ]
  return {
    tokenizer,
    decoder: (out) => ['train', 'decoder', at('run'), ...training(out), '--steps', '20'],
    generator: (out) => [
      ...['train', 'generator', '--config', at('generator.json'), '--latents', at('shards')],
      ...training(out)
    ],
    ablation: (out) => [
      ...['ablate', '--table', 'collapse', '--config', at('ablation.json'), '--arms', 'plain,latent-masking'],
      ...['--out', out, '--device', 'cpu']
    ],
    encode,
    decode: (out) => ['decode', at('run'), '--latents', at('shards'), '--out', out, '--device', 'cpu', '--force'],
    sample: (out) => [...sample(out), '--grid', join(out, 'grid.png')],
    evaluate: (out) => [
      ...['evaluate', 'generation', ...models, ...drawn, '--reference', at('images'), '--out', out],
      ...['--metrics', 'kdDinov2', '--dinov2', at('dinov2')],
      ...['--sweep', 'guidance', '--scales', '1,2', '--by', 'kdDinov2']
    ],
    'tokenizer by 2 ranks': byRanks(tokenizer),
    'encode by 2 ranks': byRanks(encode),
    'sample by 2 ranks': byRanks(sample)
  }
}

/** One of the commands. @param {string} place @param {string} name */
export const commandOf = (place, name) => /** @type {Command} */ (commands(place)[name])

/**
 * Runs a command to its end, once; logs its operations on files.
 * @param {string} place
 * @param {string} name
 * @param {string} library
 * @returns {Promise<{ out: string, args: string[], whole: string, log: string, milliseconds: number }>} `whole` is a copy of what it wrote
 *   to `out`
 */
export async function runWhole(place, name, library) {
  const path = (/** @type {string} */ kind) => join(place, `${kind} ${name}`)
  const [out, whole, log, time] = [path('work'), path('whole'), path('log'), path('time')]
  const args = commandOf(place, name)(out)
  if (!existsSync(time)) {
    for (const each of [out, whole, log]) rmSync(each, { recursive: true, force: true })
    const { milliseconds } = await must(args, withShim(library, out, { log }))
    cpSync(out, whole, { recursive: true })
    writeFileSync(time, `${milliseconds}`)
  }
  return { out, args, whole, log, milliseconds: Number(readFileSync(time, 'utf8')) }
}

/** Makes images, runs, shards and a DINOv2, once. @param {string} place */
export async function prepare(place) {
  if (existsSync(join(place, 'generator', 'run.json'))) return
  const random = randomNumbers(1)
  for (let label = 0; label < 2; label++) {
    mkdirSync(join(place, 'images', `class ${label}`), { recursive: true })
    for (let i = 0; i < 24; i++) {
      const data = Buffer.from(Array.from({ length: 20 * 20 * 3 }, () => pick(random, 256)))
      const image = sharp(data, { raw: { width: 20, height: 20, channels: 3 } })
      await image.png().toFile(join(place, 'images', `class ${label}`, `${i}.png`))
    }
  }
  const write = (/** @type {string} */ name, /** @type {object} */ content) =>
    writeFileSync(join(place, `${name}.json`), JSON.stringify(content))
  const { steps, ...shared } = settings
  const { tokenizer: _, masking: __, align: ___, ...others } = settings
  write('tokenizer', settings)
  write('generator', { ...others, generator: { width: 32, depth: 2, heads: 2 } })
  const images = join(place, 'images')
  write('ablation', { data: images, heldOut: images, steps: 20, probe: null, settings: shared })
  await writeDinov2(join(place, 'dinov2'), random)
  const { tokenizer, encode, generator } = /** @type {Record<'tokenizer' | 'encode' | 'generator', Command>} */ (
    commands(place)
  )
  await must(tokenizer(join(place, 'run')))
  await must(encode(join(place, 'shards')))
  await must(generator(join(place, 'generator')))
}

/** A tiny DINOv2 in timm's names. @param {string} folder @param {() => number} random */
async function writeDinov2(folder, random) {
  const { writeSafetensors } = await import(new URL('weights/index.js', dist).href)
  const [width, hidden] = [12, 24]
  const shapes = {
    cls_token: [1, 1, width],
    pos_embed: [1, 5, width],
    'patch_embed.proj.weight': [width, 3, 14, 14],
    'patch_embed.proj.bias': [width],
    'blocks.0.norm1.weight': [width],
    'blocks.0.norm1.bias': [width],
    'blocks.0.attn.qkv.weight': [3 * width, width],
    'blocks.0.attn.qkv.bias': [3 * width],
    'blocks.0.attn.proj.weight': [width, width],
    'blocks.0.attn.proj.bias': [width],
    'blocks.0.ls1.gamma': [width],
    'blocks.0.norm2.weight': [width],
    'blocks.0.norm2.bias': [width],
    'blocks.0.mlp.fc1.weight': [hidden, width],
    'blocks.0.mlp.fc1.bias': [hidden],
    'blocks.0.mlp.fc2.weight': [width, hidden],
    'blocks.0.mlp.fc2.bias': [width],
    'blocks.0.ls2.gamma': [width],
    'norm.weight': [width],
    'norm.bias': [width]
  }
  const tensors = Object.entries(shapes).map(([name, shape]) => {
    const size = shape.reduce((product, length) => product * length, 1)
    return { name, dtype: 'float32', shape, data: Float32Array.from({ length: size }, () => random() - 0.5) }
  })
  mkdirSync(folder, { recursive: true })
  await writeSafetensors(join(folder, 'model.safetensors'), tensors)
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ num_attention_heads: 2 }))
}

/** A fresh copy of a part of the place. @param {string} place @param {string} name @param {string} to */
export function copy(place, name, to) {
  cpSync(join(place, name), to, { recursive: true, preserveTimestamps: false })
  return to
}
