import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { libTorchCandidates } from './libtorch.mjs'

const require = createRequire(import.meta.url)

/** The package's folder, seen from lib/native and dist/native alike. */
export const PACKAGE = fileURLToPath(new URL('../..', import.meta.url))

/** The package with the prebuilt addon for this platform. */
export const PLATFORM_PACKAGE = `@mactok/${process.platform}-${process.arch}`

/** The addon that loads without LibTorch (native/bootstrap). */
export interface Bootstrap {
  /** The LibTorch version that the addon was compiled against. */
  readonly builtAgainst: string
  /** Opens a shared library for the rest of the process. */
  open(path: string): void
  /** Paths of the shared libraries that this process has loaded. */
  loaded(): string[]
  /** CRC-32C of bytes that follow those of which `before` is the checksum; 0 is that of none. */
  crc32c(bytes: Uint8Array, before: number): number
  /** That of two pieces of data from those of each; the second has `size` bytes. */
  joinCrc32c(first: number, second: number, size: number): number
  /** CRC-32C of a file. Rejects when it is no regular file with content, or cannot be read. */
  fileCrc32c(path: string): Promise<number>
}

/** The files of a build: the bootstrap, and the addon beside it. */
export interface Build {
  bootstrap: string
  addon: string
  /** A library that stands in for CUDA, which only tests name. */
  standIn?: string
}

/**
 * The package's own build, or the prebuilt one of the platform's package. Tests and benchmarks set MACTOK_ADDON to `mactok_testing`, the
 * addon with native/testing, and may set MACTOK_CUDA_LIBRARY to the name of a library that stands in for CUDA (native/testing/device).
 * Throws when there is none.
 */
export function findBuild(): Build {
  const bootstrap = unpacked(findBootstrap())
  const { MACTOK_ADDON: name = 'mactok', MACTOK_CUDA_LIBRARY: standIn } = process.env
  const beside = (library: string) => join(dirname(bootstrap), libraryName(library))
  return { bootstrap, addon: beside(name), ...(standIn && { standIn: beside(standIn) }) }
}

function findBootstrap(): string {
  const { version } = readOwnManifest()
  const find = require('node-gyp-build').path as (folder: string) => string
  try {
    return find(PACKAGE)
  } catch {
    const manifest = locatePlatformPackage()
    const found = (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
    if (found !== version) throw new Error(`${PLATFORM_PACKAGE} is ${found}, but mactok is ${version}`)
    return find(dirname(manifest))
  }
}

/** A bundler that copies this module elsewhere leaves the package's other files behind. */
function readOwnManifest(): { version: string } {
  const path = join(PACKAGE, 'package.json')
  const manifest = existsSync(path)
    ? (JSON.parse(readFileSync(path, 'utf8')) as { name: string; version: string })
    : null
  if (manifest?.name === 'mactok') return manifest
  throw new Error(
    `mactok was bundled into ${fileURLToPath(import.meta.url)}; mark it as external in the bundler's settings`
  )
}

function locatePlatformPackage(): string {
  try {
    return require.resolve(`${PLATFORM_PACKAGE}/package.json`)
  } catch {
    throw new Error(`neither a build in ${join(PACKAGE, 'build')} nor the package ${PLATFORM_PACKAGE}`)
  }
}

/** A shared library cannot be opened inside Electron's archive; electron-builder puts it beside that. */
const unpacked = (path: string) => path.replace(/([\\/]app\.asar)(?=[\\/])/, '$1.unpacked')

/** Loads the bootstrap: the same object for everything in this thread. */
export const loadBootstrap = (build: Build): Bootstrap => require(build.bootstrap)

export interface FoundLibTorch {
  folder: string
  /** Who named the folder: `LIBTORCH` or the cache. */
  origin: string
}

/** LibTorch's folder, or the places that were tried and what is wrong with each. */
export function findLibTorch(version: string): FoundLibTorch | { tried: string[] } {
  const candidates = libTorchCandidates(version)
  const found = candidates.find(({ problem }) => !problem)
  if (found) return { folder: found.folder, origin: found.origin }
  return { tried: candidates.map(({ folder, origin, problem }) => `${folder} (${origin}): ${problem}`) }
}

/** The platform's file name of a shared library. */
function libraryName(name: string): string {
  if (process.platform === 'win32') return `${name}.dll`
  return process.platform === 'darwin' ? `lib${name}.dylib` : `lib${name}.so`
}
