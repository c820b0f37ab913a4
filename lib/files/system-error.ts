/** Errors of the system that say what happened, and to which file. */

import { constants } from 'node:os'

/** Errors of storage that libuv has no names for. */
const reasons: Record<string, string> = {
  EDQUOT: 'the disk quota is exceeded',
  ESTALE: 'the file or folder is gone from its server',
  EREMOTEIO: 'the storage fails'
}

/** Gives an error that Node calls `Unknown system error -122`, or `UNKNOWN` where it was met synchronously, its name and a reason. */
export function explainSystemError(error: unknown): void {
  if (!(error instanceof Error)) return
  const failure: NodeJS.ErrnoException = error
  if (failure.errno === undefined || !/^(Unknown system error|UNKNOWN$)/.test(failure.code ?? '')) return
  const numbers: Record<string, number> = constants.errno
  const name = Object.keys(reasons).find((one) => numbers[one] === -(failure.errno as number))
  if (name === undefined) return
  failure.code = name
  failure.message = failure.message.replace(/^(Unknown system error -\d+|UNKNOWN): [^,]*/, `${name}: ${reasons[name]}`)
}

/** Explains an error of the system, and adds the file where it is about an open one, as Node does for paths. */
export function nameFile(error: unknown, file: string): void {
  explainSystemError(error)
  if (!(error instanceof Error)) return
  const failure: NodeJS.ErrnoException = error
  if (failure.syscall === undefined || failure.path !== undefined) return
  failure.path = file
  failure.message = `${failure.message} '${file}'`
}

/** Does something with a file; errors of the system name it. */
export async function naming<T>(file: string, operation: Promise<T>): Promise<T> {
  try {
    return await operation
  } catch (error) {
    nameFile(error, file)
    throw error
  }
}
