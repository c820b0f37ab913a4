// Puts LibTorch into the user cache from what the user has, for machines without a network, and removes it.
import { existsSync, mkdirSync, readdirSync, realpathSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { cacheFolder } from '../files/cache.mjs'
import { cachedLibTorch, libTorchVersion, PINNED_VERSION, whyNotLibTorch } from '../native/libtorch.mjs'
import { sha256Of } from './download.mjs'
import { isWanted, platform, requireDisk, requirementsOf, wantedWheels } from './libtorch.mjs'
import { withFetchLock } from './lock.mjs'
import { downloadCommand } from './pip.mjs'
import { Failure, say } from './report.mjs'
import { unzip } from './unzip.mjs'

/** Bytes on disk of an unpacked archive, per byte of the archive. */
const UNPACKED = 4

/**
 * Remembers a LibTorch that is there already, by a link in the cache.
 * @param {string} path an unpacked LibTorch, or the torch folder of a Python installation
 * @returns {string} its place in the cache
 */
export function linkLibTorch(path) {
  const folder = resolve(path)
  const problem = whyNotLibTorch(folder)
  if (problem) {
    throw new Failure(`${folder} is no LibTorch: ${problem}`, [
      'name the folder with lib/: an unpacked LibTorch, or the torch folder of a Python installation'
    ])
  }
  const version = libTorchVersion(folder)
  if (version !== PINNED_VERSION) throw wrongVersion(folder, version)
  const place = cachedLibTorch(PINNED_VERSION)
  if (existsSync(place) && realpathSync(place) === realpathSync(folder)) return place
  // Never through a link: what it names is the user's.
  rmSync(dirname(place), { recursive: true, force: true })
  mkdirSync(dirname(place), { recursive: true })
  // A junction needs no privilege on Windows.
  symlinkSync(realpathSync(folder), place, 'junction')
  return place
}

/**
 * Unpacks LibTorch from wheels, or from the archive of pytorch.org.
 * @param {string[]} paths files, or folders that hold them
 * @returns {Promise<string>} its place in the cache
 */
export async function unpackLibTorch(paths) {
  const files = paths.flatMap((path) => filesAt(resolve(path)))
  const archive = files.find((file) => /^libtorch-.*\.zip$/.test(basename(file)))
  const selected = archive ? [archive] : await selectWheels(files)
  const place = cachedLibTorch(PINNED_VERSION)
  return withFetchLock(async () => {
    await requireDisk(cacheFolder(), selected.reduce((sum, file) => sum + statSync(file).size, 0) * UNPACKED)
    const partial = `${dirname(place)}.partial`
    rmSync(partial, { recursive: true, force: true })
    for (const file of selected) {
      say(`unpacking ${file}`)
      await unzip(file, partial, archive ? () => true : isWanted)
    }
    if (archive) renameSync(join(partial, 'libtorch'), join(partial, 'torch'))
    const version = libTorchVersion(join(partial, 'torch'))
    if (version !== PINNED_VERSION) {
      rmSync(partial, { recursive: true })
      throw wrongVersion(selected[0], version)
    }
    rmSync(dirname(place), { recursive: true, force: true })
    renameSync(partial, dirname(place))
    return place
  })
}

/**
 * Removes every LibTorch and all that was fetched for one from the cache. Weights stay.
 * @returns {string[]} the folders that were removed
 */
export function removeLibTorch() {
  const cache = cacheFolder()
  const names = existsSync(cache) ? readdirSync(cache) : []
  const ours = names.filter((name) => /^(libtorch-|cuda-headers-|downloads$|trials$)/.test(name))
  const folders = ours.map((name) => join(cache, name))
  for (const folder of folders) rmSync(folder, { recursive: true })
  return folders
}

/** @param {string} path */
function filesAt(path) {
  if (!existsSync(path))
    throw new Failure(`There is nothing at ${path}`, ['--from names wheels, an archive, or a folder of them'])
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path)
    .filter((name) => /\.(whl|zip)$/.test(name))
    .map((name) => join(path, name))
}

/**
 * The wheels that this machine needs, with the pinned checksums.
 * @param {string[]} files
 */
async function selectWheels(files) {
  const wheels = wantedWheels()
  const missing = wheels.filter(({ file }) => !files.some((path) => basename(path) === file))
  if (missing.length > 0) {
    throw new Failure(`Missing ${missing.map(({ file }) => file).join(', ')}`, [
      `where there is a network: ${downloadCommand(platform(), requirementsOf(missing), 'wheels')}`,
      'then carry that folder here: mactok setup --from wheels'
    ])
  }
  const selected = []
  for (const { file, sha256 } of wheels) {
    const path = /** @type {string} */ (files.find((path) => basename(path) === file))
    const found = await sha256Of(path)
    if (found !== sha256) {
      throw new Failure(`${path} has SHA-256 ${found} instead of ${sha256}`, [
        'it is damaged or changed: download it again'
      ])
    }
    selected.push(path)
  }
  return selected
}

/**
 * @param {string} place
 * @param {string | undefined} version
 */
const wrongVersion = (place, version) =>
  new Failure(
    `${place} is LibTorch ${version ?? 'of an unknown version'}; this mactok is built for ${PINNED_VERSION}`,
    [
      `\`mactok setup\` fetches ${PINNED_VERSION}`,
      'or build mactok against yours: LIBTORCH=<folder> mactok setup --build'
    ]
  )
