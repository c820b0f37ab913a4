// Finds LibTorch, or fetches it into the user cache from the wheels that wheels.json pins.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheFolder } from '../files/cache.mjs'
import { cachedLibTorch, libTorchCandidates, PINNED_VERSION, whyNotLibTorch } from '../native/libtorch.mjs'
import { hasCuda, requireDriver, wantsCuda } from './cuda.mjs'
import { download, sha256Of } from './download.mjs'
import { withFetchLock } from './lock.mjs'
import { downloadByPip, findPip, resolveWheels } from './pip.mjs'
import { Failure, say } from './report.mjs'
import { unzip } from './unzip.mjs'

/** @typedef {{ name: string, version: string, file: string, sha256: string }} Wheel */
/** @typedef {{ base: Wheel[], cuda: Wheel[], headers: Wheel[] }} Wheels */

/** @type {{ platforms: Record<string, Wheels>, older: Record<string, Record<string, { base: Wheel[] }>> }} */
const pins = JSON.parse(readFileSync(new URL('../../lib/setup/wheels.json', import.meta.url), 'utf8'))

/** The most bytes that wheels and what is unpacked from them take. */
export const DISK = { base: 1.4e9, cuda: 7e9 }

/** The files of LibTorch's wheel that compiling and running need. */
const LIBTORCH_FILES =
  /^torch\/(lib|include)\/|^torch\/version\.py$|\.dist-info\/(METADATA|licenses\/.*|LICENSE|NOTICE)$/
const PYTHON_FILES = /^torch\/lib\/(libtorch_python|torch_python|libshm|shm)/
const CUDA_FILES = /^torch\/lib\/(libtorch_cuda|libtorch_nvshmem|libc10_cuda|libcaffe2_nvrtc)/

/**
 * LibTorch's folder: `LIBTORCH`, the cache, or fetched.
 * @returns {Promise<string>}
 */
export async function findLibTorch() {
  const [candidate] = libTorchCandidates()
  if (process.env.LIBTORCH) {
    if (!candidate.problem) return candidate.folder
    throw new Failure(`LIBTORCH names ${candidate.folder}, which is no LibTorch: ${candidate.problem}`, [
      'name the folder with include/ and lib/: an unpacked LibTorch, or the torch folder of a Python installation',
      `or unset LIBTORCH: version ${PINNED_VERSION} is fetched then`
    ])
  }
  const complete = () => !libTorchCandidates()[0].problem && (!wantsCuda() || hasCuda(candidate.folder))
  if (complete()) return candidate.folder
  // Before gigabytes are downloaded that would not run.
  if (wantsCuda()) requireDriver(pinnedCuda())
  return withFetchLock(async () => {
    if (!complete()) {
      await fetchLibTorch(PINNED_VERSION, wantedWheels(), wantsCuda() ? DISK.base + DISK.cuda : DISK.base)
    }
    return candidate.folder
  })
}

/** The wheels of the pinned LibTorch that this machine needs. */
export function wantedWheels() {
  const { base, cuda } = forPlatform(pins.platforms)
  return wantsCuda() ? [...base, ...cuda] : base
}

/** Older versions that the sources compile against too. */
export const OLDER_VERSIONS = Object.keys(pins.older)

/**
 * The folder of an older LibTorch, from the cache or fetched.
 * @param {string} version
 * @returns {Promise<string>}
 */
export async function findOlderLibTorch(version) {
  const { base } = forPlatform(pins.older[version])
  const folder = cachedLibTorch(version)
  await withFetchLock(async () => {
    if (whyNotLibTorch(folder)) await fetchLibTorch(version, base, DISK.base)
  })
  return folder
}

/**
 * The folder of the pinned LibTorch of another platform, without CUDA, from the cache or fetched.
 * @param {string} target Node's name of the platform
 * @returns {Promise<string>}
 */
export async function findForeignLibTorch(target) {
  const folder = join(cacheFolder(), `libtorch-${PINNED_VERSION}-${target}`)
  await withFetchLock(async () => {
    if (existsSync(folder)) return
    await requireDisk(cacheFolder(), DISK.base)
    await unpackInto(folder, forPlatform(pins.platforms, target).base, isWanted, target)
  })
  return join(folder, 'torch')
}

/** The major version of CUDA that the pinned LibTorch is built with; undefined on platforms without it. */
export function pinnedCuda() {
  const runtime = pins.platforms[platform()]?.base.find(({ name }) => name === 'nvidia-cuda-runtime')
  return runtime && Number.parseInt(runtime.version, 10)
}

/**
 * The folder of the pinned CUDA's headers, from the cache or fetched: 5 MB.
 * @returns {Promise<string>}
 */
export async function fetchCudaHeaders() {
  const folder = join(cacheFolder(), `cuda-headers-${PINNED_VERSION}`)
  const include = join(folder, 'nvidia', 'cu13', 'include')
  // An earlier version fetched no headers of NCCL.
  const complete = () => existsSync(include) && existsSync(join(folder, 'nvidia', 'nccl', 'include'))
  if (complete()) return include
  return withFetchLock(async () => {
    if (!complete()) {
      await unpackInto(folder, forPlatform(pins.platforms).headers, (name) => name.includes('/include/'))
    }
    return include
  })
}

/**
 * @param {string} version
 * @param {Wheel[]} wheels
 * @param {number} bytes
 */
async function fetchLibTorch(version, wheels, bytes) {
  say(`fetching LibTorch ${version}${wantsCuda() ? ' with CUDA' : ''} into ${cacheFolder()}`)
  await requireDisk(cacheFolder(), bytes)
  await unpackInto(join(cachedLibTorch(version), '..'), wheels, isWanted)
}

/** @param {string} name */
export function isWanted(name) {
  if (name.startsWith('nvidia/')) return !name.includes('/include/') && !name.endsWith('.a')
  return LIBTORCH_FILES.test(name) && !PYTHON_FILES.test(name) && (wantsCuda() || !CUDA_FILES.test(name))
}

/**
 * Gets wheels and unpacks them side by side; the folder appears once it is complete.
 * @param {string} folder
 * @param {Wheel[]} wheels
 * @param {(name: string) => boolean} keep
 * @param {string} [target] the platform of the wheels
 */
async function unpackInto(folder, wheels, keep, target = platform()) {
  const downloads = join(cacheFolder(), 'downloads')
  mkdirSync(downloads, { recursive: true })
  await getWheels(wheels, downloads, target)
  const partial = `${folder}.partial`
  rmSync(partial, { recursive: true, force: true })
  for (const { file } of wheels) {
    say(`unpacking ${file}`)
    await unzip(join(downloads, file), partial, keep)
  }
  rmSync(folder, { recursive: true, force: true })
  renameSync(partial, folder)
  for (const { file } of wheels) rmSync(join(downloads, file))
}

/**
 * Downloads the wheels that are missing in a folder: by Node, which resumes; once that failed by pip, because behind proxies and private
 * certificates only pip may get through.
 * @param {Wheel[]} wheels
 * @param {string} folder
 * @param {string} target
 */
export async function getWheels(wheels, folder, target) {
  const missing = []
  for (const wheel of wheels) {
    const path = join(folder, wheel.file)
    if (existsSync(path) && (await sha256Of(path)) === wheel.sha256) continue
    // Cut off: an interrupted pip may leave one.
    rmSync(path, { force: true })
    missing.push(wheel)
  }
  if (missing.length === 0) return
  const pip = findPip()
  const addresses = resolveWheels(pip, knownPlatform(target), requirementsOf(missing))
  let nodeGetsThrough = true
  for (const wheel of missing) {
    const path = join(folder, wheel.file)
    const url = addresses?.find(({ sha256 }) => sha256 === wheel.sha256)?.url
    if (nodeGetsThrough && url?.startsWith('http')) nodeGetsThrough = await downloadByNode(url, path, wheel)
    if (!existsSync(path)) await getByPip(pip, wheel, folder, target)
  }
}

/**
 * @param {string} url
 * @param {string} path
 * @param {Wheel} wheel
 * @returns {Promise<boolean>} whether it worked
 */
async function downloadByNode(url, path, { file, sha256 }) {
  try {
    await download({ url, path, sha256 })
    return true
  } catch (error) {
    if (!(error instanceof Failure) || existsSync(`${path}.part`)) throw error
    say(`${file}: ${error.message.split('\n')[0]}; trying pip`)
    return false
  }
}

/**
 * @param {import('./pip.mjs').Pip} pip
 * @param {Wheel} wheel
 * @param {string} folder
 * @param {string} target
 */
async function getByPip(pip, { name, version, file, sha256 }, folder, target) {
  say(`downloading ${file} with pip`)
  downloadByPip(pip, knownPlatform(target), [`${name}==${version}`], folder)
  const path = join(folder, file)
  const found = existsSync(path) ? await sha256Of(path) : undefined
  if (found === sha256) return
  rmSync(path, { force: true })
  throw new Failure(
    found ? `${file} has SHA-256 ${found} instead of ${sha256}` : `pip downloaded something else than ${file}`,
    [
      'the index that pip uses may serve other files: check `pip config list`',
      'or name a LibTorch that you have: LIBTORCH=<folder>'
    ]
  )
}

/** Wheels as pip names them. @param {Wheel[]} wheels */
export const requirementsOf = (wheels) => wheels.map(({ name, version }) => `${name}==${version}`)

/** Node's name of this platform. */
export const platform = () => knownPlatform(`${process.platform}-${process.arch}`)

/** @param {string} name */
const knownPlatform = (name) => /** @type {import('./pip.mjs').Platform} */ (name)

/**
 * @template T
 * @param {Record<string, T>} wheels by platform
 * @param {string} [target]
 * @returns {T}
 */
function forPlatform(wheels, target = platform()) {
  const found = wheels[target]
  if (found) return found
  throw new Failure(`There is no LibTorch wheel for ${target}`, [
    `LIBTORCH=<folder> names a LibTorch ${PINNED_VERSION} that was built for it`,
    `wheels exist for ${Object.keys(wheels).join(', ')}`
  ])
}

/**
 * @param {string} folder
 * @param {number} bytes
 */
export async function requireDisk(folder, bytes) {
  mkdirSync(folder, { recursive: true })
  const { bavail, bsize } = await statfs(folder)
  const free = bavail * bsize
  if (free >= bytes) return
  throw new Failure(`LibTorch needs ${gigabytes(bytes)} GB of disk, but ${folder} has ${gigabytes(free)} GB`, [
    'free some, or set MACTOK_CACHE to a folder elsewhere',
    'or name a LibTorch that you have: LIBTORCH=<folder>'
  ])
}

/** @param {number} bytes */
const gigabytes = (bytes) => (bytes / 1e9).toFixed(1)
