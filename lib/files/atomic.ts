/** Writes files that are either complete or absent. */

import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import path from 'node:path'

/** Makes renames in a folder survive a power failure. Windows cannot open folders, and does not need it. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Writes a file under a hidden temporary name, syncs it to disk and renames it.
 * When `write` or anything else fails, an existing file stays unchanged. Creates missing folders.
 */
export async function writeAtomically(file: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  const folder = path.dirname(file)
  await mkdir(folder, { recursive: true })
  const temporary = path.join(folder, `.${path.basename(file)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    const handle = await open(temporary, 'wx')
    try {
      await write(handle)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncFolder(folder)
}

/** Writes all bytes, however many system calls that takes. */
export async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    done += (await handle.write(bytes, done, Math.min(bytes.byteLength - done, 1 << 30))).bytesWritten
  }
}

/** Writes an indented JSON file atomically. */
export const writeJson = (file: string, value: unknown): Promise<void> =>
  writeAtomically(file, (handle) => writeFully(handle, Buffer.from(`${JSON.stringify(value, null, 2)}\n`)))
