// Builds the addon by cmake-js in .build/ and copies the products to where node-gyp-build looks for them.
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { libTorchVersion, whyNotLibTorch } from '../native/libtorch.mjs'
import { fingerprint, unlessMade } from './fingerprint.mjs'
import { Failure, say } from './report.mjs'
import { requireBuildTools } from './tools.mjs'

const require = createRequire(import.meta.url)

/** @typedef {{ LIBTORCH: string, MACTOK_CUDA_INCLUDE: string, MACTOK_SANITIZE?: 'ON' }} Options CMake's variables */

/** The folder of the built addon that node-gyp-build looks into. @param {string} root */
const products = (root) => join(root, 'build', 'Release')

/**
 * Whether there is a build already, perhaps of older sources. Without one the compiler and its tools are checked before anything is fetched.
 * @param {string} root
 * @param {string} [out]
 */
export const isBuilt = (root, out = products(root)) => existsSync(join(out, '.stamp'))

/**
 * @param {{ root: string, libtorch: string, tree?: string, out?: string, cuda?: string, testing?: boolean, sanitize?: boolean }} options
 *   `tree`: where CMake works; `cuda`: the folder of CUDA's headers, to build native/cuda too;
 *   `testing`: keep the libraries of native/testing too, which never ship; `sanitize`: for tests with GCC's sanitizers
 */
export function buildAddon({
  root,
  libtorch,
  tree = join(root, '.build'),
  out = products(root),
  cuda = '',
  testing = false,
  sanitize = false
}) {
  const sources = ['native', 'cmake', 'CMakeLists.txt', 'package-lock.json'].map((name) => join(root, name))
  const print = fingerprint(sources, [String(libTorchVersion(libtorch)), out, cuda, String(testing)])
  const stamp = join(out, '.stamp')
  return unlessMade(stamp, print, () => {
    requireBuildTools()
    say('building the addon')
    configure(root, tree, { LIBTORCH: libtorch, MACTOK_CUDA_INCLUDE: cuda, ...(sanitize && { MACTOK_SANITIZE: 'ON' }) })
    cmakeJs(root, ['build', '--out', tree, '--parallel', String(availableParallelism())])
    copyProducts(join(tree, 'Release'), out, testing)
  })
}

/**
 * Configures again when an option changes. Another folder with the same LibTorch is no change: the build does not depend on it.
 * @param {string} root
 * @param {string} tree
 * @param {Options} options
 */
function configure(root, tree, options) {
  const stamp = join(tree, 'options.json')
  /** @type {Options | undefined} */
  const last = existsSync(stamp) ? JSON.parse(readFileSync(stamp, 'utf8')) : undefined
  if (last && !whyNotLibTorch(last.LIBTORCH) && libTorchVersion(last.LIBTORCH) === libTorchVersion(options.LIBTORCH)) {
    options.LIBTORCH = last.LIBTORCH
  }
  const wanted = JSON.stringify(options)
  if (JSON.stringify(last) === wanted) return
  rmSync(join(tree, 'Release'), { recursive: true, force: true })
  cmakeJs(root, ['configure', '--out', tree, ...Object.entries(options).map(([name, value]) => `--CD${name}=${value}`)])
  writeFileSync(stamp, wanted)
}

/**
 * @param {string} root
 * @param {string[]} options
 */
function cmakeJs(root, options) {
  const program = join(dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js')
  const done = spawnSync(process.execPath, [program, '--log-level', 'error', '--directory', root, ...options], {
    cwd: root,
    stdio: ['ignore', 2, 2]
  })
  if (done.status !== 0) throw new Failure('The addon does not build; see the message above')
}

/**
 * @param {string} from
 * @param {string} to
 * @param {boolean} testing
 */
function copyProducts(from, to, testing) {
  mkdirSync(to, { recursive: true })
  const names = readdirSync(from).filter((name) => /\.(node|so|dylib|dll)$/.test(name))
  for (const name of names.filter((name) => testing || !/mactok_(testing|stand_in)/.test(name))) {
    const [source, target] = [join(from, name), join(to, name)]
    if (existsSync(target) && statSync(target).mtimeMs >= statSync(source).mtimeMs) continue
    // Renamed into place, so that a process keeps the old file that it has mapped.
    copyFileSync(source, `${target}.new`)
    renameSync(`${target}.new`, target)
  }
}
