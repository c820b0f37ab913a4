import { existsSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { MactokError } from '../errors.js'
import type { Addon } from './addon.js'
import { type Bootstrap, type Build, findBuild, findLibTorch, loadBootstrap, PLATFORM_PACKAGE } from './find.js'
import { libraries, libTorchVersion } from './libtorch.mjs'
import { findCrash } from './trial.mjs'

/** Where LibTorch was loaded from, for `doctor`. */
export interface LibTorchOrigin {
  folder: string
  origin: string
  version: string
  /** Why CUDA's part was not loaded; empty when it was. */
  withoutCuda: string
}

interface Loaded {
  addon: Addon
  libtorch: LibTorchOrigin
}

const BUILD = '`npx mactok setup --build` (in a clone, `npm run setup`) compiles it for this machine'

/** Kept on the bootstrap's exports: one per thread, even with several copies of this module. */
const LOADED = Symbol.for('mactok.loaded')

/**
 * The native addon, loaded on first use.
 * @throws {MactokError} ERR_NATIVE_LOAD, with what was tried and what to do
 */
export const addon = (): Addon => load().addon

/** Folder and version of LibTorch, which is loaded first. */
export const libtorchOrigin = (): LibTorchOrigin => load().libtorch

/** The part of the addon that needs no LibTorch. */
export const bootstrap = (): Bootstrap => loadFirst().bootstrap

function load(): Loaded {
  const { bootstrap, build } = loadFirst()
  bootstrap[LOADED] ??= loadWith(bootstrap, build)
  return bootstrap[LOADED]
}

function loadFirst(): { build: Build; bootstrap: Bootstrap & { [LOADED]?: Loaded } } {
  const build = attempt(findBuild, 'The native addon was not found', [
    `\`npm install\` without --omit=optional installs it, where ${PLATFORM_PACKAGE} is published`,
    BUILD
  ])
  const bootstrap = attempt(() => loadBootstrap(build), `${build.bootstrap} does not load`, [
    '`npx mactok doctor` compares what it needs with what this machine has',
    BUILD
  ])
  return { build, bootstrap }
}

function loadWith(bootstrap: Bootstrap, build: Build): Loaded {
  const wanted = bootstrap.builtAgainst
  const remedies = [
    `\`npx mactok setup\` fetches LibTorch ${wanted} into the cache`,
    `LIBTORCH=<folder> names an unpacked LibTorch ${wanted}, or the torch folder of a Python installation`
  ]
  const found = findLibTorch(wanted)
  if ('tried' in found) throw loadError('LibTorch was not found', found.tried, remedies)

  const version = libTorchVersion(found.folder)
  if (version !== wanted) {
    const mismatch = `${found.folder} is LibTorch ${version ?? 'of an unknown version'}, but mactok was built against ${wanted}`
    throw loadError(
      mismatch,
      [],
      [...remedies, 'or build mactok against yours: LIBTORCH=<folder> npx mactok setup --build']
    )
  }

  // The real files: a library's dependencies are searched for beside the path that was opened.
  const paths = libraries(found.folder).map((path) => realpathSync(path))
  refuseAnotherLibTorch(bootstrap, paths)
  const crash = findCrash({ bootstrap: build.bootstrap, libraries: paths, addon: build.addon })
  if (crash)
    throw loadError(
      `Loading ${build.addon} ends a process with ${crash}`,
      [],
      ['`npx mactok doctor` says what this machine has', BUILD]
    )
  for (const path of paths) {
    attempt(() => bootstrap.open(path), `${path} does not load`, remedies)
  }
  const withoutCuda = build.standIn ? openStandIn(bootstrap, build.standIn) : openCuda(bootstrap, found.folder)
  const loaded: { exports: Partial<Addon> } = { exports: {} }
  // Opened twice: Node unloads an addon with the last worker that uses it, while LibTorch's threads still run its code.
  attempt(() => bootstrap.open(build.addon), `${build.addon} does not load`, [BUILD])
  attempt(() => process.dlopen(loaded, build.addon), `${build.addon} does not load`, [BUILD])
  return { addon: loaded.exports as Addon, libtorch: { ...found, version, withoutCuda } }
}

/** Two LibTorches in one process would share some symbols and not others. */
function refuseAnotherLibTorch(bootstrap: Bootstrap, ours: string[]) {
  const names = new Set(ours.map((path) => basename(path)))
  const other = bootstrap
    .loaded()
    .find((path) => names.has(basename(path)) && existsSync(path) && !ours.includes(realpathSync(path)))
  if (other) {
    throw loadError(
      `Another LibTorch is already loaded in this process: ${other}; mactok would load ${ours.at(-1)}`,
      [],
      ['load only one of the two in a process, or set LIBTORCH to the one that is loaded']
    )
  }
}

/** Opens LibTorch's CUDA libraries if they and a driver exist; returns why not. */
function openCuda(bootstrap: Bootstrap, folder: string): string {
  if (process.platform === 'darwin') return 'macOS has no CUDA'
  const windows = process.platform === 'win32'
  const library = join(folder, 'lib', windows ? 'torch_cuda.dll' : 'libtorch_cuda.so')
  if (!existsSync(library)) return `${library} does not exist`
  const driver = windows ? 'nvcuda.dll' : 'libcuda.so.1'
  for (const path of [driver, library]) {
    try {
      bootstrap.open(path)
    } catch (error) {
      return path === driver ? `no NVIDIA driver (${messageOf(error)})` : messageOf(error)
    }
  }
  return ''
}

function openStandIn(bootstrap: Bootstrap, library: string): string {
  attempt(() => bootstrap.open(library), `${library} does not load`, [
    'unset MACTOK_CUDA_LIBRARY, which only tests set'
  ])
  return ''
}

function attempt<T>(action: () => T, failure: string, remedies: string[]): T {
  try {
    return action()
  } catch (error) {
    throw loadError(failure, [messageOf(error)], remedies, error)
  }
}

function loadError(failure: string, tried: string[], remedies: string[], cause?: unknown): MactokError {
  const lines = [
    failure,
    ...tried.map((line) => `  tried: ${line.trim()}`),
    ...remedies.map((line) => `  fix: ${line}`)
  ]
  return new MactokError('ERR_NATIVE_LOAD', lines.join('\n'), { cause })
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
