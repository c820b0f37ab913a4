/** The peers' Python environment, created once in the user's cache. */

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheFolder } from '../lib/files/cache.mjs'
import { withLock } from '../lib/setup/lock.mjs'
import { Failure, say } from '../lib/setup/report.mjs'

const REQUIREMENTS = fileURLToPath(new URL('requirements.txt', import.meta.url))

/** Its interpreter. The first call takes minutes and about 6 GB, because PyPI's torch includes CUDA. */
export async function pythonEnvironment() {
  const hash = createHash('sha256').update(readFileSync(REQUIREMENTS)).digest('hex').slice(0, 12)
  const folder = join(cacheFolder(), `bench-${hash}`)
  const python = join(folder, ...(process.platform === 'win32' ? ['Scripts', 'python.exe'] : ['bin', 'python']))
  const complete = join(folder, 'complete')
  if (existsSync(complete)) return python
  return withLock(join(cacheFolder(), 'bench.lock'), 'another bench that makes the Python environment', async () => {
    if (existsSync(complete)) return python
    rmSync(folder, { recursive: true, force: true })
    say('creating the Python environment of the peers (about 6 GB, once)')
    const base = process.platform === 'win32' ? 'python' : 'python3'
    step(
      base,
      ['-m', 'venv', folder],
      [
        'Debian, Ubuntu: apt-get install python3-venv',
        'or name an environment that has what bench/requirements.txt lists: --python <interpreter>'
      ]
    )
    step(python, ['-m', 'pip', 'install', '--quiet', '-r', REQUIREMENTS], ['is there a network, and 6 GB of disk?'])
    writeFileSync(complete, '')
    return python
  })
}

/** @param {string} command @param {string[]} options @param {string[]} remedies */
function step(command, options, remedies) {
  const done = spawnSync(command, options, { stdio: ['ignore', 'ignore', 'inherit'] })
  if (done.status !== 0) throw new Failure(`\`${command} ${options.join(' ')}\` failed`, remedies)
}
