// Where LibTorch may be. Plain JavaScript, because the set-up needs it before TypeScript is compiled.
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { cacheFolder } from '../files/cache.mjs'

/** The version that the set-up fetches. */
export const PINNED_VERSION = '2.15.0'

const LIBRARY_NAMES = {
  darwin: ['libc10.dylib', 'libtorch_cpu.dylib'],
  win32: ['c10.dll', 'torch_cpu.dll'],
  linux: ['libc10.so', 'libtorch_cpu.so']
}

/**
 * LibTorch's place in the user cache.
 * @param {string} version
 */
export const cachedLibTorch = (version) => join(cacheFolder(), `libtorch-${version}`, 'torch')

/**
 * The libraries to open, in this order, from an unpacked LibTorch.
 * @param {string} folder
 */
export function libraries(folder) {
  const names =
    process.platform === 'darwin' || process.platform === 'win32'
      ? LIBRARY_NAMES[process.platform]
      : LIBRARY_NAMES.linux
  return names.map((name) => join(folder, 'lib', name))
}

/**
 * What is missing in the folder for it to be a LibTorch; undefined when it is one.
 * @param {string} folder
 */
export function whyNotLibTorch(folder) {
  if (!existsSync(folder)) return 'no such folder'
  const missing = libraries(folder).find((library) => !existsSync(library))
  return missing && `has no ${missing.slice(folder.length + 1)}`
}

/**
 * LibTorch's version according to its files, such as "2.15.0"; undefined when they have none.
 * @param {string} folder
 */
export function libTorchVersion(folder) {
  /** @type {[file: string, pattern: RegExp][]} */
  const places = [
    ['include/torch/headeronly/version.h', /VERSION_MAJOR (\d+)[\s\S]*VERSION_MINOR (\d+)[\s\S]*VERSION_PATCH (\d+)/],
    [
      'include/torch/csrc/api/include/torch/version.h',
      /VERSION_MAJOR (\d+)[\s\S]*VERSION_MINOR (\d+)[\s\S]*VERSION_PATCH (\d+)/
    ],
    ['version.py', /__version__ = '(\d+)\.(\d+)\.(\d+)/],
    ['build-version', /^(\d+)\.(\d+)\.(\d+)/]
  ]
  for (const [file, pattern] of places) {
    const path = join(folder, file)
    const match = existsSync(path) && readFileSync(path, 'utf8').match(pattern)
    if (match) return match.slice(1, 4).join('.')
  }
  return undefined
}

/**
 * The major version of CUDA that LibTorch was built with; undefined when its files do not say.
 * @param {string} folder
 */
export function cudaVersion(folder) {
  const path = join(folder, 'version.py')
  const version = existsSync(path) && readFileSync(path, 'utf8').match(/^cuda\b.*=\s*'(\d+)/m)
  return version ? Number(version[1]) : undefined
}

/**
 * Every place that was looked at, best first. The first without a `problem` is the one to use; a set `LIBTORCH` is final.
 * @param {string} [version]
 * @returns {{ folder: string, origin: string, problem: string | undefined }[]}
 */
export function libTorchCandidates(version = PINNED_VERSION) {
  const chosen = process.env.LIBTORCH
  const [folder, origin] = chosen ? [resolve(chosen), 'LIBTORCH'] : [cachedLibTorch(version), 'the cache']
  return [{ folder, origin, problem: whyNotLibTorch(folder) }]
}
