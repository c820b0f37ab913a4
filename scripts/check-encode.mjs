/**
 * Encodes the same images by 1, 2 and 3 ranks, kills one of the 3 and runs it again, and checks that all folders are
 * the same byte for byte.
 *
 *   npm run build:ts && node scripts/check-encode.mjs 'cifar10/train-{00000..00001}.tar'
 */

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Failure, run } from '../lib/setup/report.mjs'

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const shardSize = 250

/** @param {string} folder */
const checksums = (folder) =>
  readdirSync(folder)
    .sort()
    .map(
      (file) =>
        `${createHash('sha256')
          .update(readFileSync(join(folder, file)))
          .digest('hex')}  ${file}`
    )
    .join('\n')

/**
 * Runs one rank to its end.
 * @param {string[]} args
 * @param {number} rank
 * @param {number} worldSize
 * @returns {{ child: import('node:child_process').ChildProcess, ended: Promise<number | NodeJS.Signals | null> }}
 */
function startRank(args, rank, worldSize) {
  const env = { ...process.env, RANK: `${rank}`, WORLD_SIZE: `${worldSize}` }
  const child = spawn(process.execPath, [main, 'encode', ...args, '--threads', '1', '--device', 'cpu'], {
    env,
    stdio: ['ignore', 'inherit', 'pipe']
  })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
    errors += text
  })
  const ended = new Promise((resolve) =>
    child.on('close', (code, signal) => {
      if (code !== 0 && signal === null) process.stderr.write(errors)
      resolve(signal ?? code)
    })
  )
  return { child, ended }
}

run(async () => {
  const [data] = process.argv.slice(2)
  if (!data) throw new Failure('Expected the path of images')
  const root = mkdtempSync(join(tmpdir(), 'mactok-encode-'))
  try {
    const { Tokenizer } = await import('../dist/index.js')
    const tokenizer = await Tokenizer.create('tiny-32', { device: 'cpu', seed: 1 })
    await tokenizer.save(join(root, 'tokenizer'))
    tokenizer.dispose()
    /** @param {string} name */
    const argsOf = (name) => [
      join(root, 'tokenizer'),
      '--data',
      data,
      '--out',
      join(root, name),
      '--shard-size',
      `${shardSize}`
    ]
    /** @type {Record<string, string>} */
    const sums = {}
    for (const worldSize of [1, 2, 3]) {
      const name = `by-${worldSize}`
      mkdirSync(join(root, name))
      const started = performance.now()
      const ranks = Array.from({ length: worldSize }, (_, rank) => startRank(argsOf(name), rank, worldSize))
      if (worldSize === 3) {
        const { child } = ranks[1]
        const hasEnded = () => child.exitCode !== null || child.signalCode !== null
        // In the middle of its second shard.
        while (!hasEnded() && !readdirSync(join(root, name)).some((file) => /shard001.*\.json$/.test(file)))
          await sleep(10)
        await sleep(300)
        child.kill('SIGKILL')
      }
      const codes = await Promise.all(ranks.map(({ ended }) => ended))
      const seconds = ((performance.now() - started) / 1000).toFixed(1)
      process.stdout.write(`${worldSize} rank(s): ended with ${codes.join(', ')} after ${seconds} s\n`)
      const expected = worldSize === 3 ? [0, 'SIGKILL', 0] : codes.map(() => 0)
      if (codes.join() !== expected.join()) throw new Failure(`Expected the ranks to end with ${expected.join(', ')}`)
      if (worldSize === 3) {
        const left = readdirSync(join(root, name)).filter((file) => file.endsWith('.safetensors')).length
        process.stdout.write(`${left} shards after one was killed; that rank again:\n`)
        if ((await startRank(argsOf(name), 1, 3).ended) !== 0) throw new Failure('The second run failed')
      }
      sums[name] = checksums(join(root, name))
    }
    process.stdout.write(`${sums['by-1']}\n`)
    for (const name of ['by-2', 'by-3']) {
      if (sums[name] !== sums['by-1']) throw new Failure(`${name} differs from by-1:\n${sums[name]}`)
    }
    process.stdout.write('1, 2 and 3 ranks: all files are identical\n')
  } finally {
    rmSync(root, { recursive: true })
  }
})

/** @param {number} milliseconds */
function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
