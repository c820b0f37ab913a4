// Checks for the programs that building needs, and says how to get them.
import { spawnSync } from 'node:child_process'
import { Failure } from './report.mjs'

const [major, minor] = process.versions.node.split('.').map(Number)

export function requireNode() {
  if (major > 20 || (major === 20 && minor >= 9)) return
  throw new Failure(`mactok needs Node 20.9 or newer; this is ${process.version}`)
}

/** The oldest releases that compile the sources, which are C++20. */
const OLDEST = { GCC: 12, CMake: [3, 18], ninja: [1, 5] }

/** Checks the compiler, CMake, and ninja or make, so that a missing or old one is named before minutes of work. */
export function requireBuildTools() {
  requireCompiler()
  requireCMake()
  requireNinjaOrMake()
}

export function requireCompiler() {
  const compiler = [process.env.CXX, 'c++', 'g++', 'clang++', 'cl'].find((name) => name && outputOf(name) !== undefined)
  if (!compiler) {
    throw new Failure('No C++ compiler was found', [
      'Debian, Ubuntu: apt-get install g++ make; Fedora: dnf install gcc-c++ make',
      'macOS: xcode-select --install; Windows: the Build Tools of Visual Studio 2022',
      'CXX=<program> names one elsewhere'
    ])
  }
  const about = outputOf(compiler) ?? ''
  // Its first line names the program and the packager: "g++-11 (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0".
  const gcc = about.includes('Free Software Foundation') && about.match(/^.*\) (\d+)\.(\d+)/)
  if (!gcc || Number(gcc[1]) >= OLDEST.GCC) return
  const newer = [12, 13, 14, 15].map((major) => `g++-${major}`).find((name) => outputOf(name) !== undefined)
  throw new Failure(`${compiler} is GCC ${gcc[1]}.${gcc[2]}, which is too old: ${OLDEST.GCC} is needed`, [
    ...(newer ? [`${newer} is installed: set CXX=${newer}`] : []),
    'Debian, Ubuntu: apt-get install g++-12, then set CXX=g++-12',
    'Red Hat, Rocky, Alma: dnf install gcc-toolset-13-gcc-c++, then `scl enable gcc-toolset-13 bash`',
    'conda: conda install -c conda-forge gxx=13, then set CXX=x86_64-conda-linux-gnu-g++'
  ])
}

export function requireCMake() {
  requireVersion('cmake', /version (\d+)\.(\d+)/, 'CMake', OLDEST.CMake, [
    'Debian, Ubuntu: apt-get install cmake; Fedora: dnf install cmake; macOS: brew install cmake; Windows: winget install Kitware.CMake',
    'or anywhere: pip install cmake'
  ])
}

/** CMake uses ninja where there is one, else make; on Windows Visual Studio has its own. */
export function requireNinjaOrMake() {
  const remedies = [
    'Debian, Ubuntu: apt-get install ninja-build; Fedora: dnf install ninja-build; macOS: brew install ninja',
    'or anywhere: pip install ninja'
  ]
  if (outputOf('ninja') !== undefined) requireVersion('ninja', /^(\d+)\.(\d+)/, 'ninja', OLDEST.ninja, remedies)
  else if (process.platform !== 'win32' && outputOf('make') === undefined) {
    throw new Failure('Neither ninja nor make was found', remedies)
  }
}

/**
 * @param {string} program
 * @param {RegExp} pattern of its version, major and minor
 * @param {string} name
 * @param {number[]} oldest major and minor
 * @param {string[]} remedies
 */
function requireVersion(program, pattern, name, [major, minor], remedies) {
  const found = outputOf(program)?.match(pattern)?.slice(1, 3).map(Number)
  if (found && (found[0] > major || (found[0] === major && found[1] >= minor))) return
  const problem = found ? `${name} ${found.join('.')} is too old: ${major}.${minor} is needed` : `${name} was not found`
  throw new Failure(problem, remedies)
}

/**
 * What `--version` prints; undefined for a program that does not run, or fails, as macOS's stand-ins for tools that are not installed do.
 * @param {string} program
 */
function outputOf(program) {
  // The environment is named, because tests change it.
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8', env: process.env })
  // Windows's cl knows no such option.
  const runs = status === 0 || (program === 'cl' && status !== null)
  return runs ? stdout : undefined
}
