// Builds the addon by cmake-js in .build/ and copies the products where node-gyp-build looks for them.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Failure, say } from './report.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const tree = join(root, '.build')
const products = join(tree, 'Release')

/** @param {{ libtorch: string, out?: string, cuda?: string[] }} options `cuda`: folders of CUDA's headers */
export function buildAddon({ libtorch, out = join(root, 'build', 'Release'), cuda = [] }) {
  const options = { LIBTORCH: libtorch, MACTOK_CUDA_INCLUDE: cuda.join(';') }
  const stamp = join(tree, 'options.json')
  const configured = existsSync(stamp) ? readFileSync(stamp, 'utf8') : ''
  const wanted = JSON.stringify(options)
  if (configured !== wanted) {
    cmakeJs('configure', Object.entries(options).map(([name, value]) => `--CD${name}=${value}`))
    writeFileSync(stamp, wanted)
  }
  cmakeJs('build', ['--parallel', String(availableParallelism())])
  copyProducts(out)
}

/**
 * @param {string} command
 * @param {string[]} options
 */
function cmakeJs(command, options) {
  const program = join(root, 'node_modules', 'cmake-js', 'bin', 'cmake-js')
  const done = spawnSync(process.execPath, [program, command, '--log-level', 'error', '--directory', root, '--out', tree, ...options], {
    cwd: root,
    stdio: 'inherit'
  })
  if (done.status !== 0) throw new Failure(`cmake-js ${command} failed; its message stands above`)
}

/** @param {string} out */
function copyProducts(out) {
  mkdirSync(out, { recursive: true })
  for (const name of readdirSync(products).filter((name) => /\.(node|so|dylib|dll)$/.test(name))) {
    const [from, to] = [join(products, name), join(out, name)]
    if (existsSync(to) && statSync(to).mtimeMs >= statSync(from).mtimeMs) continue
    // Renamed into place: a process that has the old file mapped keeps it whole.
    copyFileSync(from, `${to}.new`)
    renameSync(`${to}.new`, to)
    say(`built ${name}`)
  }
}
