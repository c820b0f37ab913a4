// Compiles lib/ to dist/.
import { spawnSync } from 'node:child_process'
import { chmodSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fingerprint, unlessMade } from '../lib/setup/fingerprint.mjs'
import { Failure, say } from '../lib/setup/report.mjs'

/** @param {string} root */
export function compileTypeScript(root) {
  const sources = ['lib', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'].map((name) => join(root, name))
  const dist = join(root, 'dist')
  return unlessMade(join(dist, '.stamp'), fingerprint(sources), () => {
    say('compiling TypeScript')
    rmSync(dist, { recursive: true, force: true })
    const program = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const done = spawnSync(process.execPath, [program, '-p', 'tsconfig.build.json'], {
      cwd: root,
      stdio: ['ignore', 2, 2]
    })
    if (done.status !== 0) throw new Failure('TypeScript does not compile; see the messages above')
    // npx links to a clone and makes this file executable only the first time.
    chmodSync(join(dist, 'cli', 'main.js'), 0o755)
  })
}
