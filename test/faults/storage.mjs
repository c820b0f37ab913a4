/** A full and a read-only disk: a small tmpfs, which needs root. Commands must fail by name, and leave nothing broken under final names. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { commands, dist, mactok } from './place.mjs'

const { verifyCheckpoint, readCheckpoint } = await import(new URL('runs/checkpoint.js', dist).href)
const { decode } = await import(new URL('data/decode.js', dist).href)
const { readSafetensors } = await import(new URL('weights/index.js', dist).href)
const { readFileSync } = await import('node:fs')

/** @param {string} folder @returns {string[]} */
const listFiles = (folder) =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? listFiles(path) : [path]
  })

/** The files under final names that cannot be read. @param {string} folder */
async function findBroken(folder) {
  const broken = []
  for (const file of listFiles(folder)) {
    if (/\/\.|\.tmp$|filler/.test(file.slice(folder.length))) continue
    try {
      if (file.endsWith('.png')) await decode(readFileSync(file))
      if (file.endsWith('.json')) JSON.parse(readFileSync(file, 'utf8'))
      if (file.endsWith('.html') && !readFileSync(file, 'utf8').trimEnd().endsWith('</html>')) throw new Error('cut')
      if (file.endsWith('.safetensors')) await (await readSafetensors(file)).close()
      if (file.endsWith('state.json')) await verifyCheckpoint(await readCheckpoint(join(file, '..')))
    } catch {
      broken.push(file.slice(folder.length))
    }
  }
  return broken
}

/** @param {string} place */
export async function breakStorage(place) {
  const disk = join(place, 'disk')
  mkdirSync(disk, { recursive: true })
  const mount = (/** @type {string[]} */ ...args) => execFileSync('mount', args, { stdio: 'ignore' })
  const { tokenizer, generator, encode } = commands(place)
  const [run, shards] = [join(place, 'run'), join(place, 'shards')]
  /** @type {Record<string, (out: string) => string[]>} */
  const calls = {
    tokenizer,
    generator,
    encode,
    reconstruct: (out) => ['reconstruct', run, '--data', join(place, 'images'), '--out', join(out, 'grid.png')],
    decode: (out) => ['decode', run, '--latents', shards, '--out', out, '--force'],
    report: (out) => ['report', run, '--out', join(out, 'report.html')]
  }
  /** @type {Record<string, object>} */
  const results = {}
  for (const kind of ['full', 'read-only']) {
    for (const [name, call] of Object.entries(calls)) {
      try {
        mount('-t', 'tmpfs', '-o', 'size=600k', 'tmpfs', disk)
      } catch {
        return { skipped: 'mounting a tmpfs needs root' }
      }
      try {
        if (kind === 'full')
          writeFileSync(
            join(disk, 'filler'),
            Buffer.alloc(name === 'reconstruct' || name === 'report' ? 610_000 : 560_000)
          )
        else mount('-o', 'remount,ro', disk)
        const { code, output } = await mactok(call(join(disk, 'out')))
        const isNamed = /ENOSPC|disk is full|no space|read-only|EROFS/i.test(output)
        results[`${kind} ${name}`] = { code, named: isNamed, broken: await findBroken(disk) }
        if (code === 0 || !isNamed) process.stdout.write(`${kind} ${name}: ${code} ${output.slice(-300)}\n`)
      } finally {
        execFileSync('umount', [disk])
      }
    }
  }
  rmSync(disk, { recursive: true })
  return results
}
