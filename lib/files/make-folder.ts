import { constants } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { MactokError } from '../errors.js'
import { exists } from './stat.js'
import { explainSystemError } from './system-error.js'

const reasons: Record<string, string> = {
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOTDIR: 'a part of the path is a file',
  EEXIST: 'it is a file',
  ENOSPC: 'the disk is full'
}

/** Why a folder cannot be written. */
const explain = ({ code, message }: NodeJS.ErrnoException): string => reasons[code ?? ''] ?? message

/** The nearest folder on the way to a path that exists. */
async function nearestFolder(path: string): Promise<string> {
  let folder = resolve(path)
  while (!(await exists(folder)) && dirname(folder) !== folder) folder = dirname(folder)
  return folder
}

/** An error that says why a folder cannot be written, given what writing it failed with. */
export async function notWritable(folder: string, cause: unknown): Promise<MactokError> {
  explainSystemError(cause)
  let reason = explain(cause as NodeJS.ErrnoException)
  if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
    // Node's recursive mkdir says ENOENT on a read-only file system.
    const place = await nearestFolder(folder)
    await access(place, constants.W_OK).catch((error) => {
      reason = `${explain(error)} (${place})`
    })
  }
  return new MactokError('ERR_FORMAT', `Cannot write the folder ${folder}: ${reason}`, { cause })
}

/**
 * Makes a folder and those above it.
 * @returns the first that did not exist; undefined where all did
 * @throws {MactokError} `ERR_FORMAT` saying why that is not possible
 */
export async function makeFolder(folder: string): Promise<string | undefined> {
  try {
    return await mkdir(folder, { recursive: true })
  } catch (cause) {
    throw await notWritable(folder, cause)
  }
}
