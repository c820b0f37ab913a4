/** What a command left: results to compare, files that cannot be read, remains, processes. */

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { dist } from './place.mjs'

const { verifyCheckpoint, readCheckpoint } = await import(new URL('runs/checkpoint.js', dist).href)
const { decode } = await import(new URL('data/decode.js', dist).href)
const { readSafetensors } = await import(new URL('weights/index.js', dist).href)
const { NpzFile } = await import(new URL('files/npz-reader.js', dist).href)

/** Every file of a folder, by its path in it; none where there is no folder. @param {string} folder @returns {string[]} */
export function listFiles(folder) {
  if (!existsSync(folder)) return []
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath, entry.name)))
}

/** Whether a file is one of those that are written before they get their names, or of a folder that is discarded. @param {string} file */
export const isRemains = (file) => /(^|\/)\.|\.tmp(\/|$)|\.parts\//.test(file)

/** What must not depend on interruptions, by file: all but what is measured, and remains. @param {string} folder @returns {Record<string, string>} */
export function fingerprint(folder) {
  const files = listFiles(folder).filter((file) => !isRemains(file) && !/tfevents|train\.lock/.test(file))
  return Object.fromEntries(
    files.sort().map((file) => {
      const content = readFileSync(join(folder, file))
      // Rates are measured.
      const kept = file.endsWith('.jsonl')
        ? String(content).replace(/"(images|latents)PerSecond":[^,}]+/g, '')
        : content
      return [file, createHash('sha256').update(kept).digest('hex')]
    })
  )
}

/** The files in which two fingerprints differ. @param {Record<string, string>} one @param {Record<string, string>} other */
export const differences = (one, other) => Object.keys({ ...one, ...other }).filter((file) => one[file] !== other[file])

/** The files under final names that cannot be read. @param {string} folder */
export async function findBroken(folder) {
  const broken = []
  for (const name of listFiles(folder)) {
    if (isRemains(name)) continue
    const file = join(folder, name)
    try {
      if (file.endsWith('.png')) await decode(readFileSync(file))
      if (file.endsWith('.json')) JSON.parse(readFileSync(file, 'utf8'))
      if (/\.(html|svg)$/.test(file) && !/<\/(html|svg)>\s*$/.test(readFileSync(file, 'utf8'))) throw new Error('cut')
      if (file.endsWith('.safetensors')) await (await readSafetensors(file)).close()
      if (file.endsWith('.npz')) await (await NpzFile.open(file)).close()
      if (file.endsWith('state.json')) await verifyCheckpoint(await readCheckpoint(join(file, '..')))
    } catch (error) {
      broken.push(`${name} (${/** @type {Error} */ (error).message})`)
    }
  }
  return broken
}

/** The processes, other than this one, that were started for a folder (shim.mjs). @param {string} folder */
function processesOf(folder) {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`FAULT_FOLDER=${folder}\0`)
    } catch {
      return false
    }
  })
}

/** Waits until a folder's processes have ended, 30 s at most. @param {string} folder @returns {Promise<number>} those that have not */
export async function awaitProcesses(folder) {
  for (let tries = 0; tries < 300 && processesOf(folder).length > 0; tries++) await sleep(100)
  return processesOf(folder).length
}

/** Blocks of shared memory with names. */
export const sharedMemory = () => readdirSync('/dev/shm').filter((name) => /torch|gloo|mactok/i.test(name))

/** When files of weights were written. @param {string} folder */
export const stamps = (folder) =>
  JSON.stringify(
    listFiles(folder)
      .filter((file) => file.endsWith('.safetensors'))
      .sort()
      .map((file) => [file, statSync(join(folder, file)).ino])
  )
