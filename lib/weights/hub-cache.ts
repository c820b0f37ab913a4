/** The cache of Python's `huggingface_hub`: `models--<owner>--<name>` with `blobs`, `refs` and `snapshots`. */

import { constants } from 'node:fs'
import { copyFile, link, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { makeFolder } from '../files/make-folder.js'
import { readText } from '../files/read.js'
import { fileSize } from '../files/stat.js'
import { removeAbandoned, temporaryName } from '../files/temporary.js'
import { findMismatch, type RemoteFile } from './download.js'
import { hubCacheFolder } from './hub-settings.js'

/** The folder of a repository `owner/name`. */
export const cachedRepository = (repo: string): string =>
  path.join(hubCacheFolder(), `models--${repo.replaceAll('/', '--')}`)

/** The snapshot of a repository's `main`; undefined when Python has not downloaded it. */
export async function findSnapshot(repo: string): Promise<string | undefined> {
  const folder = cachedRepository(repo)
  const commit = ((await readText(path.join(folder, 'refs', 'main')).catch(() => null)) ?? '').trim()
  return /^[0-9a-f]{40}$/.test(commit) ? path.join(folder, 'snapshots', commit) : undefined
}

/**
 * Takes a file from the cache instead of the network, if it is there with the server's size and checksum. It is linked
 * where the file system can, because nobody changes a blob; else copied.
 * @returns whether it was there
 */
export async function takeCachedFile(repo: string, remote: RemoteFile, file: string): Promise<boolean> {
  const { etag = '', size } = remote
  if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(etag)) return false
  const blob = path.join(cachedRepository(repo), 'blobs', etag)
  const found = await fileSize(blob).catch(() => undefined)
  if (found === undefined || (size !== undefined && found !== size)) return false
  const folder = path.dirname(file)
  await makeFolder(folder)
  await removeAbandoned(folder)
  const temporary = path.join(folder, temporaryName(path.basename(file)))
  try {
    await link(blob, temporary).catch(() => copyFile(blob, temporary, constants.COPYFILE_FICLONE))
    if (await findMismatch(temporary, remote)) return false
    await rename(temporary, file)
    return true
  } catch {
    // Unreadable or gone meanwhile: it is downloaded.
    return false
  } finally {
    await rm(temporary, { force: true })
  }
}
