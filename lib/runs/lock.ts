/** The lock of a run folder: one training at a time writes it. */

import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { MactokError } from '../errors.js'
import { currentOwner, describeOwner, tryLock } from '../files/lock.mjs'
import { makeFolder, notWritable } from '../files/make-folder.js'
import { naming } from '../files/system-error.js'

const fileName = 'train.lock'

export interface RunLock extends AsyncDisposable {
  /** The owner of a lock that was left behind and taken over, in words. */
  readonly takenOver: string | null
  /** Whether the folder is still there, with this lock. */
  isHeld(): Promise<boolean>
}

/**
 * Locks a run folder for a training; creates the folder. A lock that a crashed process left behind is taken over.
 * @throws {MactokError} ERR_IN_USE while another training has it, ERR_FORMAT when the folder cannot be written
 */
export async function lockRun(dir: string): Promise<RunLock> {
  const file = join(dir, fileName)
  const isNew = (await makeFolder(dir)) !== undefined
  const result = await naming(
    file,
    tryLock(file, (cause) => notWritable(dir, cause))
  )
  if (!result.lock) {
    const [other, own] = [result.owner, currentOwner()].map(describeOwner)
    throw new MactokError(
      'ERR_IN_USE',
      `${dir} is in use: ${other} trains in it, and ${own} would too. Wait for it, stop it, or choose another folder; if it is gone, delete ${file}`
    )
  }
  const { takenOver, isHeld, release } = result.lock
  return {
    takenOver,
    isHeld: () => naming(file, isHeld()),
    [Symbol.asyncDispose]: async () => {
      release()
      // Nothing was written: the run was refused.
      if (isNew) await rmdir(dir).catch(() => {})
    }
  }
}
