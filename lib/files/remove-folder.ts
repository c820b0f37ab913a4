import { rm } from 'node:fs/promises'

/** Deletes a folder; on NFS and Windows one stays while another process reads its files, until a later call. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch((error) => {
    if (!['ENOTEMPTY', 'EBUSY', 'EPERM'].includes(error.code)) throw error
  })
}
