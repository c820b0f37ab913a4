/** What all parts share: seeded random numbers, the command line, and a trained tokenizer with shards. */

import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'

export const dist = new URL('../../dist/', import.meta.url)
const main = fileURLToPath(new URL('cli/main.js', dist))

/** The environment of a child with a cache of its own, but LibTorch from where it is. @param {string} cache @returns {Promise<NodeJS.ProcessEnv>} */
export async function withCache(cache) {
  const { libtorchOrigin } = await import(new URL('native/load.js', dist).href)
  return { ...process.env, LIBTORCH: libtorchOrigin().folder, MACTOK_CACHE: cache, OMP_NUM_THREADS: '1' }
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

/**
 * Runs a command; kills it with SIGKILL after some milliseconds.
 * @param {string[]} args
 * @param {number} [killAfter]
 * @returns {Promise<{ code: number | null, signal: string | null, output: string, milliseconds: number }>}
 */
export function mactok(args, killAfter) {
  const started = Date.now()
  const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, OMP_NUM_THREADS: '1' } })
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

/** Runs a command that must succeed. @param {string[]} args */
export async function must(args) {
  const done = await mactok(args)
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

/**
 * The commands that are killed, by what they write: each writes to `out`, and resumes there.
 * @param {string} place
 * @returns {Record<string, (out: string) => string[]>}
 */
export const commands = (place) => ({
  tokenizer: (out) => [
    ...['train', 'tokenizer', '--config', join(place, 'tokenizer.json'), '--data', join(place, 'images')],
    ...['--out', out, '--device', 'cpu', '--resume']
  ],
  generator: (out) => [
    ...['train', 'generator', '--config', join(place, 'generator.json'), '--latents', join(place, 'shards')],
    ...['--out', out, '--device', 'cpu', '--resume']
  ],
  encode: (out) => [
    ...['encode', join(place, 'run'), '--data', join(place, 'images'), '--out', out, '--device', 'cpu'],
    ...['--shard-size', '8', '--batch', '4']
  ]
})

/** Makes images, a run and shards, once. @param {string} place */
export async function prepare(place) {
  if (existsSync(join(place, 'shards', 'manifest.json'))) return
  const random = randomNumbers(1)
  for (let label = 0; label < 2; label++) {
    mkdirSync(join(place, 'images', `class ${label}`), { recursive: true })
    for (let i = 0; i < 24; i++) {
      const data = Buffer.from(Array.from({ length: 20 * 20 * 3 }, () => pick(random, 256)))
      const image = sharp(data, { raw: { width: 20, height: 20, channels: 3 } })
      await image.png().toFile(join(place, 'images', `class ${label}`, `${i}.png`))
    }
  }
  writeFileSync(join(place, 'tokenizer.json'), JSON.stringify(settings))
  const { tokenizer: _, masking: __, align: ___, ...shared } = settings
  writeFileSync(
    join(place, 'generator.json'),
    JSON.stringify({ ...shared, generator: { width: 32, depth: 2, heads: 2 } })
  )
  const { tokenizer, encode } = commands(place)
  await must(tokenizer(join(place, 'run')))
  await must(encode(join(place, 'shards')))
}

/** A fresh copy of a part of the place. @param {string} place @param {string} name @param {string} to */
export function copy(place, name, to) {
  cpSync(join(place, name), to, { recursive: true, preserveTimestamps: false })
  return to
}
