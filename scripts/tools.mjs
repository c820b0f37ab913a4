// Checks for the programs that building needs, and says how to get them.
import { spawnSync } from 'node:child_process'
import { Failure } from './report.mjs'

const [major, minor] = process.versions.node.split('.').map(Number)

export function requireNode() {
  if (major > 20 || (major === 20 && minor >= 9)) return
  throw new Failure(`mactok needs Node 20.9 or newer; this is ${process.version}`)
}

export function requireCompiler() {
  const compiler = [process.env.CXX, 'c++', 'g++', 'clang++', 'cl'].find((name) => name && works(name))
  if (!compiler) {
    throw new Failure('No C++ compiler was found', [
      'Debian, Ubuntu: apt-get install g++ make; Fedora: dnf install gcc-c++ make',
      'macOS: xcode-select --install; Windows: the Build Tools of Visual Studio 2022',
      'CXX=<program> names one elsewhere'
    ])
  }
}

export function requireCMake() {
  const found = spawnSync('cmake', ['--version'], { encoding: 'utf8' })
  const version = found.status === 0 && found.stdout.match(/version (\d+)\.(\d+)/)
  if (version && (Number(version[1]) > 3 || Number(version[2]) >= 18)) return
  throw new Failure(version ? `CMake ${version[1]}.${version[2]} is too old: 3.18 is needed` : 'CMake was not found', [
    'Debian, Ubuntu: apt-get install cmake; Fedora: dnf install cmake; macOS: brew install cmake; Windows: winget install Kitware.CMake',
    'or anywhere: pip install cmake'
  ])
}

/** @param {string} program */
const works = (program) => !spawnSync(program, ['--version'], { stdio: 'ignore' }).error
