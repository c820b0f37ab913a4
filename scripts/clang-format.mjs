// Formats native/ by the pinned clang-format, which pip fetches into the user cache:
//   node scripts/clang-format.mjs [--write]     checks, or rewrites
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheFolder } from '../lib/files/cache.mjs'
import { findPip, installByPip } from '../lib/setup/pip.mjs'
import { Failure, run, say } from '../lib/setup/report.mjs'

const VERSION = '23.1.5'
const native = fileURLToPath(new URL('../native', import.meta.url))

run(() => {
  const sources = readdirSync(native, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(cpp|h)$/.test(name))
  const mode = process.argv.includes('--write') ? ['-i'] : ['--dry-run', '-Werror']
  const done = spawnSync(clangFormat(), [...mode, ...sources], { cwd: native, stdio: 'inherit' })
  if (done.status !== 0) throw new Failure('native/ is not formatted', ['npm run format'])
})

function clangFormat() {
  const folder = join(cacheFolder(), `clang-format-${VERSION}`)
  const program = join(
    folder,
    'clang_format',
    'data',
    'bin',
    process.platform === 'win32' ? 'clang-format.exe' : 'clang-format'
  )
  if (!existsSync(program)) {
    say(`fetching clang-format ${VERSION}`)
    installByPip(findPip(), `clang-format==${VERSION}`, folder)
  }
  return program
}
