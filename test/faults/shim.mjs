/** Faults at single operations on files, by a library that commands preload (shim.c). */

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const source = fileURLToPath(new URL('shim.c', import.meta.url))

/** Operations that change something on the disk: a kill between two others is as one before the next of these. */
export const changes = ['create', 'write', 'sync', 'rename', 'unlink', 'rmdir', 'mkdir']

/** A kind of operation on files whose names differ in numbers only, and how often a process (its rank, or none) does it. */
/** @typedef {{ rank: string, operation: string, pattern: string, count: number }} Point */

/** Compiles the library; null elsewhere than on Linux, and without a C compiler. @param {string} place */
export function buildShim(place) {
  const library = join(place, 'shim.so')
  if (process.platform !== 'linux') return null
  try {
    const options = ['-O1', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC']
    execFileSync('cc', [...options, '-o', library, source, '-ldl'], { stdio: ['ignore', 'ignore', 'inherit'] })
    return library
  } catch {
    return null
  }
}

/**
 * The environment of a command that has a fault on files below a folder.
 * @param {string} library
 * @param {string} folder
 * @param {{ fault?: string, rank?: string, log?: string }} options - a fault as in shim.c; the file to log to
 */
export const withShim = (library, folder, { fault, rank, log }) => ({
  LD_PRELOAD: library,
  // Otherwise the kernel does what the library would see.
  UV_USE_IO_URING: '0',
  FAULT_FOLDER: folder,
  ...(fault && { FAULT: fault }),
  ...(rank && { FAULT_RANK: rank }),
  ...(log && { FAULT_LOG: log })
})

/** The points of a log that are of these operations. @param {string} log @param {readonly string[]} operations @returns {Point[]} */
export function readPoints(log, operations) {
  /** @type {Map<string, number>} */
  const counts = new Map()
  for (const line of readFileSync(log, 'utf8').trimEnd().split('\n')) {
    const [rank, operation = '', name = ''] = line.split('\t')
    if (!operations.includes(operation)) continue
    const point = [rank, operation, name.replace(/[0-9a-f]{8}-\d+-[0-9a-f]{12}|[0-9a-f]{12}|\d+|\s/g, '*')].join('\t')
    counts.set(point, (counts.get(point) ?? 0) + 1)
  }
  return [...counts].map(([point, count]) => {
    const [rank = '', operation = '', pattern = ''] = point.split('\t')
    return { rank, operation, pattern, count }
  })
}
