/** What lies at a path. */

import { stat } from 'node:fs/promises'

/** There is nothing at a path, or there cannot be; whoever gets any other error does not know whether there is. */
const absence: ReadonlySet<unknown> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'ERR_INVALID_ARG_VALUE'])

/** @param error - of an operation on a path */
export const isAbsence = (error: unknown): boolean => absence.has((error as NodeJS.ErrnoException).code)

/**
 * What an operation on a path resolves to; null where there is nothing at the path. A disk that fails is not taken for an empty one.
 * @throws {Error} any other error of the system
 */
export async function ifPresent<T>(operation: Promise<T>): Promise<T | null> {
  try {
    return await operation
  } catch (error) {
    if (isAbsence(error)) return null
    throw error
  }
}

/** Size of a file in bytes, or undefined when there is no such file. */
export async function fileSize(file: string): Promise<number | undefined> {
  const found = await ifPresent(stat(file))
  return found?.isFile() ? found.size : undefined
}

export async function isFolder(path: string): Promise<boolean> {
  return (await ifPresent(stat(path)))?.isDirectory() ?? false
}

/** Whether there is a file or folder at a path. */
export async function exists(path: string): Promise<boolean> {
  return (await ifPresent(stat(path))) !== null
}

/** Changes when a file does: its size and the time of its last change. */
export const stampOf = ({ size, mtimeMs }: { size: number; mtimeMs: number }): string => `${size} ${mtimeMs}`

/** The stamp of what is at a path, or null where there is nothing. */
export async function fileStamp(file: string): Promise<string | null> {
  const found = await ifPresent(stat(file))
  return found && stampOf(found)
}
