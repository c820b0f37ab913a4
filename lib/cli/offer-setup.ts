/** Offers to fetch LibTorch when a command fails for want of it and a person is there to answer. */

import { spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline/promises'
import type { MactokError } from '../errors.js'

/**
 * Asks, fetches LibTorch and runs the command line again.
 * @returns the exit code of that; undefined where there was nothing to offer, or the answer was no
 */
export async function offerSetup(error: unknown): Promise<number | undefined> {
  const { stdin, stderr, argv, execPath, execArgv } = process
  if ((error as MactokError | null)?.code !== 'ERR_NATIVE_LOAD' || !stdin.isTTY || !stderr.isTTY) return undefined
  const [{ findLibTorch }, { PINNED_VERSION }] = await Promise.all([
    import('../native/find.js'),
    import('../native/libtorch.mjs')
  ])
  // A LIBTORCH that names something else is the user's to mend.
  if (process.env.LIBTORCH || !('tried' in findLibTorch(PINNED_VERSION))) return undefined
  const terminal = createInterface({ input: stdin, output: stderr })
  const answer = await terminal.question(`Fetch LibTorch ${PINNED_VERSION} now (about 560 MB)? [Y/n] `)
  terminal.close()
  if (!/^(y|yes|)$/i.test(answer.trim())) return undefined
  const run = (args: string[]) => spawnSync(execPath, [...execArgv, argv[1] as string, ...args], { stdio: 'inherit' })
  const { status } = run(['setup'])
  return status === 0 ? (run(argv.slice(2)).status ?? 1) : (status ?? 1)
}
