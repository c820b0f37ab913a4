/** Writes files that are either complete or absent. */

import { fsync } from 'node:fs'
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { MactokError } from '../errors.js'
import { makeFolder, notWritable } from './make-folder.js'
import { nameFile, naming } from './system-error.js'
import { removeAbandoned, temporaryName } from './temporary.js'

const sync = promisify(fsync)

/** Writes what the system still holds of an open file to its disk. Yarn's Plug'n'Play has no `FileHandle.sync`. */
export const syncFile = (handle: FileHandle): Promise<void> => sync(handle.fd)

/** Makes renames in a folder survive a power failure. Windows cannot open folders, and does not need it. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder)
  try {
    await naming(folder, syncFile(handle))
  } finally {
    await handle.close()
  }
}

/**
 * A file that is written beside its place, and takes it when it is complete. An existing file stays unchanged until
 * then. Only regular files are replaced: what is written to a device or a pipe goes there directly.
 */
export class AtomicFile {
  private constructor(
    readonly handle: FileHandle,
    /** Where the file is written, or null when it is no regular file. */
    private readonly temporary: string | null,
    private readonly target: string
  ) {}

  /**
   * Creates missing folders.
   * @throws {MactokError} `ERR_FORMAT` for a folder that cannot be written, and for the name of a folder
   */
  static async create(file: string): Promise<AtomicFile> {
    await makeFolder(path.dirname(file))
    const found = await stat(file).catch(() => null)
    if (found?.isDirectory()) throw new MactokError('ERR_FORMAT', `Cannot write ${file}: it is a folder`)
    if (found && !found.isFile()) return new AtomicFile(await open(file, 'w'), null, file)
    // A link stays, and the file that it leads to is replaced.
    const target = found ? await realpath(file) : file
    const folder = path.dirname(target)
    await removeAbandoned(folder)
    const temporary = path.join(folder, temporaryName(path.basename(target)))
    const handle = await open(temporary, 'wx').catch(async (cause) => {
      throw await notWritable(folder, cause)
    })
    return new AtomicFile(handle, temporary, target)
  }

  /** Whether the file can be written at any position; devices and pipes cannot. */
  get isRegular(): boolean {
    return this.temporary !== null
  }

  /**
   * Closes the file and puts it in its place.
   * @param durable - syncs it first, so that it survives a power failure
   */
  async commit({ durable = true }: { durable?: boolean } = {}): Promise<void> {
    try {
      if (durable && this.temporary) await syncFile(this.handle)
      await this.handle.close()
      if (this.temporary) await rename(this.temporary, this.target)
    } catch (error) {
      await this.discard()
      nameFile(error, this.target)
      throw error
    }
    if (durable && this.temporary) await syncFolder(path.dirname(this.target))
  }

  /** Closes and deletes the unfinished file. */
  async discard(): Promise<void> {
    await this.handle.close().catch(() => {})
    if (this.temporary) await rm(this.temporary, { force: true })
  }
}

/** Writes a file by an `AtomicFile`; when `write` fails, an existing file stays unchanged. */
export async function writeAtomically(
  file: string,
  write: (handle: FileHandle) => Promise<void>,
  options: { durable?: boolean } = {}
): Promise<void> {
  const written = await AtomicFile.create(file)
  try {
    await naming(file, write(written.handle))
  } catch (error) {
    await written.discard()
    throw error
  }
  await written.commit(options)
}

/** Writes a text atomically. */
export const writeText = (file: string, text: string): Promise<void> =>
  writeAtomically(file, (handle) => writeFully(handle, Buffer.from(text)))

/**
 * Writes all bytes, however many system calls that takes.
 * @param position - where in the file; without it after what was written last
 */
export async function writeFully(handle: FileHandle, bytes: Uint8Array, position?: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const length = Math.min(bytes.byteLength - done, 1 << 30)
    const at = position === undefined ? null : position + done
    done += (await handle.write(bytes, done, length, at)).bytesWritten
  }
}

/** Writes an indented JSON file atomically. */
export const writeJson = (file: string, value: unknown): Promise<void> =>
  writeText(file, `${JSON.stringify(value, null, 2)}\n`)
