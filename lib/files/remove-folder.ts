import { randomBytes } from 'node:crypto'
import { readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ifPresent } from './stat.js'

/** Deletes a folder; on NFS and Windows one stays while another process reads its files, until a later call. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch((error) => {
    if (!['ENOTEMPTY', 'EBUSY', 'EPERM'].includes(error.code)) throw error
  })
}

/** Renames a folder for `removeDiscarded` to delete, so that nobody ever sees a part of it under its name. */
export async function discardFolder(folder: string): Promise<void> {
  const away = `.${basename(folder)}.${randomBytes(6).toString('hex')}.old`
  await ifPresent(rename(folder, join(dirname(folder), away)))
}

/** Deletes the folders in a parent that were discarded, if their names are among those wanted. */
export async function removeDiscarded(parent: string, isWanted: (name: string) => boolean): Promise<void> {
  for (const each of (await ifPresent(readdir(parent))) ?? []) {
    const [, name] = /^\.(.+)\.[0-9a-f]{12}\.old$/.exec(each) ?? []
    if (name !== undefined && isWanted(name)) await removeFolder(join(parent, each))
  }
}
