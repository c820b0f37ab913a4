/** Files that are written before they take their names. */

import { createHash, randomBytes } from 'node:crypto'
import { readlinkSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import path from 'node:path'
import { isAlive } from './alive.mjs'

/** Milliseconds after which nobody writes a file any more that did not change. */
const abandonedAfter = 86_400_000

/** Identifies where process ids mean the same processes: a machine, or a container. */
const here = createHash('sha256').update(`${hostname()} ${readNamespace()}`).digest('hex').slice(0, 8)

function readNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return ''
  }
}

/** A hidden name of its own for a file that is to be called `name`; it says which process writes it. */
export const temporaryName = (name: string): string =>
  // Names have at most 255 bytes.
  `.${name.slice(0, 60)}.${here}-${process.pid}-${randomBytes(6).toString('hex')}.tmp`

const swept = new Set<string>()

/** Removes what killed processes left half written in a folder, the first time that this process writes there, if it may. */
export async function removeAbandoned(folder: string): Promise<void> {
  if (swept.has(folder)) return
  swept.add(folder)
  await sweep(folder).catch(() => {})
}

async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const [, place, pid] = /^\..*\.([0-9a-f]{8})-(\d+)-[0-9a-f]{12}\.tmp$/.exec(name) ?? []
    if (place === undefined) continue
    const file = path.join(folder, name)
    // Nobody here knows whether a process elsewhere still runs.
    const isAbandoned = place === here ? !isAlive(Number(pid)) : await isOld(file)
    if (isAbandoned) await rm(file, { force: true })
  }
}

const isOld = async (file: string): Promise<boolean> => Date.now() - (await stat(file)).mtimeMs > abandonedAfter
