// The build's commands, which CMake makes where the archive is packed, so that a machine without CMake and ninja can run them.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Failure } from '../lib/setup/report.mjs'

const require = createRequire(import.meta.url)

/**
 * @typedef {object} Build placeholders stand for places and versions of the machine that builds: @ROOT@, @TREE@, @LIBTORCH@,
 *   @LIBTORCH_VERSION@, @CUDA_INCLUDE@, @CUDA@ (major version) and @CXX@
 * @property {string[]} first    the precompiled header
 * @property {string[]} compile  independent of each other
 * @property {string[]} link     in this order
 * @property {Record<string, string>} files  that the commands read, by their path in @TREE@
 */

/**
 * Configures the build and reads its commands; nothing is compiled.
 * @param {{ root: string, tree: string, libtorch: string, version: string, cudaInclude: string, cuda: number }} options
 * @returns {Build}
 */
export function readCommands({ root, tree, libtorch, version, cudaInclude, cuda }) {
  rmSync(tree, { recursive: true, force: true })
  mkdirSync(tree, { recursive: true })
  const program = join(dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js')
  const variables = { LIBTORCH: libtorch, MACTOK_CUDA_INCLUDE: cudaInclude }
  execute(process.execPath, [
    ...[program, '--log-level', 'error', '--directory', root, 'configure', '--out', tree, '--generator', 'Ninja'],
    ...Object.entries(variables).map(([name, value]) => `--CD${name}=${value}`)
  ])
  const lines = execute('ninja', ['-C', tree, '-t', 'commands'])
    .split('\n')
    .filter((line) => line && !line.startsWith('ninja: '))
  /** @type {[from: string, to: string][]} longest first, because one may begin with another */
  const places = [
    [tree, '@TREE@'],
    [cudaInclude, '@CUDA_INCLUDE@'],
    [libtorch, '@LIBTORCH@'],
    [root.replace(/\/$/, ''), '@ROOT@']
  ]
  const inOrder = places.toSorted(([a], [b]) => b.length - a.length)
  /** @param {string} text */
  const generalize = (text) =>
    inOrder
      .reduce((result, [from, to]) => result.replaceAll(from, to), text)
      .replaceAll(`MACTOK_LIBTORCH_VERSION=\\"${version}\\"`, 'MACTOK_LIBTORCH_VERSION=\\"@LIBTORCH_VERSION@\\"')
      .replaceAll(`libcudart.so.${cuda}`, 'libcudart.so.@CUDA@')
  const commands = lines.map(generalize).map(replacePrograms)
  const compiles = commands.filter((command) => command.includes(' -c '))
  const isHeader = (/** @type {string} */ command) => command.includes('-x c++-header')
  return {
    first: compiles.filter(isHeader),
    compile: compiles.filter((command) => !isHeader(command)),
    link: commands.filter((command) => !command.includes(' -c ')),
    files: Object.fromEntries(generated(tree).map((name) => [name, generalize(readFileSync(join(tree, name), 'utf8'))]))
  }
}

/** Compiler and system libraries are the machine's own, and CMake's links are made by ln. @param {string} command */
function replacePrograms(command) {
  const links = command.match(/cmake -E cmake_symlink_library (\S+) \S+ (\S+)/)
  if (links) return `ln -sf "$(basename ${links[1]})" ${links[2]}`
  return command
    .replace(/^(: && )?\S*\/(c|g|clang)\+\+\S* /, '$1@CXX@ ')
    .replace(/ \S+\/lib[gi]?omp5?\.(so|a)\b/g, ' -fopenmp')
    .replace(/ \S+\/libpthread\.(so|a)\b/g, ' -pthread')
    // Other compilers have other warnings.
    .replace(' -Werror', '')
}

/** Sources that CMake wrote: precompiled headers and stand-ins. @param {string} tree */
function generated(tree) {
  return readdirSync(tree, { recursive: true, encoding: 'utf8' }).filter(
    (name) => /(\.cpp|\.hxx|\.hxx\.cxx)$/.test(name) && !/CompilerId|CMakeScratch|CMakeTmp/.test(name)
  )
}

/** @param {string} program @param {string[]} parameters */
function execute(program, parameters) {
  const done = spawnSync(program, parameters, { encoding: 'utf8', stdio: ['ignore', 'pipe', 2], maxBuffer: 1 << 28 })
  if (done.status !== 0) throw new Failure(`${program} ${parameters[0]} fails; packing needs CMake and ninja`)
  return done.stdout
}

/** @param {Build} build @param {string} file */
export const writeCommands = (build, file) => writeFileSync(file, `${JSON.stringify(build, null, 1)}\n`)
