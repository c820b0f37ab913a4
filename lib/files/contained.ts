import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { MactokError } from '../errors.js'
import { fileSize, ifPresent } from './stat.js'

/** Whether a name, with `/` between its parts, leads to a place below the folder that it is joined to. */
export const isContained = (name: string): boolean =>
  name !== '' &&
  !name.includes('\0') &&
  !path.isAbsolute(name) &&
  // On Windows, C:name is relative to the current folder of another drive.
  !(path.sep === '\\' && /^[a-z]:/i.test(name)) &&
  name.split(path.sep === '\\' ? /[\\/]/ : '/').every((part) => part !== '..')

/**
 * Joins a folder and a name that comes from a file: from a tar, a manifest, a list of classes.
 * @throws {MactokError} `ERR_FORMAT` naming a name that leads out of the folder
 */
export function containedPath(folder: string, name: string): string {
  if (isContained(name)) return path.join(folder, name)
  throw new MactokError('ERR_FORMAT', `The name ${JSON.stringify(name)} leads out of ${folder}`)
}

/**
 * Refuses to write into a folder in which files are links: what is written under their names would end up elsewhere. Links to folders,
 * such as one on another disk, are not refused; a folder that does not exist is fine.
 * @throws {MactokError} `ERR_FORMAT` naming the first link
 */
export async function refuseLinks(folder: string): Promise<void> {
  const entries = (await ifPresent(readdir(folder, { withFileTypes: true }))) ?? []
  for (const { name } of entries.filter((entry) => entry.isSymbolicLink())) {
    const file = path.join(folder, name)
    if ((await fileSize(file)) === undefined) continue
    throw new MactokError('ERR_FORMAT', `${file} is a link to a file, which would be overwritten: replace it by a copy`)
  }
}
