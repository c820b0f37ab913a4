/** What this machine has of what mactok needs. Nothing here throws: a part that fails is a check that says so. */

import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { cpus, totalmem } from 'node:os'
import { dirname } from 'node:path'
import { cacheFolder } from '../files/cache.mjs'
import type { Addon } from '../native/addon.js'
import { driverVersion, whyDriverTooOld } from '../native/driver.mjs'
import { native } from '../native/errors.js'
import { type Build, findBuild, findLibTorch, loadBootstrap } from '../native/find.js'
import { cudaVersion, libTorchVersion, PINNED_VERSION } from '../native/libtorch.mjs'
import type { LibTorchOrigin } from '../native/load.js'
import { findChromium } from './chromium.mjs'
import { DISK } from './libtorch.mjs'
import { findPip } from './pip.mjs'
import { Failure } from './report.mjs'
import { requireBuildTools, requireNode } from './tools.mjs'

export type CheckState = 'ok' | 'missing' | 'too old' | 'broken'

/** One line of `mactok doctor`. */
export interface Check {
  name: string
  state: CheckState
  /** What was found, or what is wrong. */
  found: string
  /** What to do, where something is not ok. */
  fix?: string
  /** Whether training is impossible while this is not ok. */
  required: boolean
}

/** The oldest that LibTorch's wheels for Linux run on (manylinux_2_28). */
const WHEELS_NEED = { GLIBC: '2.28', GLIBCXX: '3.4.25' }

const SETUP = 'npx mactok setup'
const REBUILD = 'npx mactok setup --build'

const ok = (name: string, found: string): Check => ({ name, state: 'ok', found, required: false })
const fault = (name: string, state: CheckState, found: string, fix?: string): Check => ({
  name,
  state,
  found,
  ...(fix && { fix }),
  required: true
})
/** Of what training works without. */
const optional = (check: Check): Check => ({ ...check, required: false })

/** Checks everything that computing needs, and what set-up and builds need. */
export async function examineMachine(): Promise<Check[]> {
  const build = attempt(findBuild)
  const loaded = await attemptAsync(async () => {
    const { addon, libtorchOrigin } = await import('../native/load.js')
    return { addon: addon(), info: addon().info(), origin: libtorchOrigin() }
  })
  const libtorch = checkLibTorch(build)
  return [
    checkNode(),
    ...checkLibraries('value' in build ? build.value : null),
    checkBuild(build),
    libtorch,
    ...('value' in loaded ? describeEngine(loaded.value) : checkLoading(loaded.error, build, libtorch)),
    ...('value' in loaded ? await checkCuda(loaded.value) : [checkDriver()]),
    await checkSharp(),
    checkCache(),
    await checkDisk(libtorch.state === 'ok'),
    checkPip(),
    checkCompiler(),
    checkChromium()
  ]
}

function checkNode(): Check {
  const found = `${process.versions.node} on ${process.platform} ${process.arch}`
  if ('value' in attempt(requireNode)) return ok('node', found)
  return fault('node', 'too old', `${found}; 20.9 is needed`, 'install a newer Node: nodejs.org')
}

/** glibc and libstdc++, against what the addon and LibTorch need. */
function checkLibraries(build: Build | null): Check[] {
  if (process.platform !== 'linux') return []
  const { header, sharedObjects } = process.report.getReport() as unknown as {
    header: { glibcVersionRuntime?: string }
    sharedObjects: string[]
  }
  const glibc = header.glibcVersionRuntime
  if (!glibc) {
    const fix = 'use a distribution with glibc, such as Debian (node:22-slim instead of node:22-alpine)'
    return [fault('glibc', 'missing', 'none (musl?): LibTorch has no binaries for it', fix)]
  }
  const cxx = sharedObjects.find((path) => /libstdc\+\+\.so/.test(path))
  const newer = 'use a newer distribution or container; or build on this one: '
  return [
    compareVersions('glibc', glibc, neededVersion(build, 'GLIBC'), newer + REBUILD),
    cxx && existsSync(cxx)
      ? compareVersions('libstdc++', newestVersion(cxx, 'GLIBCXX'), neededVersion(build, 'GLIBCXX'), newer + REBUILD)
      : optional(fault('libstdc++', 'missing', 'no shared one', 'Debian, Ubuntu: apt-get install libstdc++6'))
  ]
}

function compareVersions(name: string, found: string, needed: string, fix: string): Check {
  return isAtLeast(found, needed) ? ok(name, found) : fault(name, 'too old', `${found}; ${needed} is needed`, fix)
}

const neededVersion = (build: Build | null, symbols: keyof typeof WHEELS_NEED): string => {
  const versions = [WHEELS_NEED[symbols]]
  for (const file of build ? [build.addon, build.bootstrap] : []) {
    if (existsSync(file)) versions.push(newestVersion(file, symbols))
  }
  return versions.reduce((newest, version) => (isAtLeast(version, newest) ? version : newest))
}

/** The newest version of symbols that a library names: of its own where it defines them, of those that it needs where not. */
function newestVersion(file: string, symbols: string): string {
  const named = readFileSync(file, 'latin1').matchAll(new RegExp(`\\b${symbols}_(\\d+(?:\\.\\d+)+)\\0`, 'g'))
  return [...named].map(([, version]) => version as string).reduce((a, b) => (isAtLeast(a, b) ? a : b), '0')
}

/** Whether one dotted version is the same as another or newer. */
function isAtLeast(version: string, oldest: string): boolean {
  const [left, right] = [version, oldest].map((one) => one.split('.').map(Number)) as [number[], number[]]
  const differing = right.findIndex((part, index) => part !== (left[index] ?? 0))
  return differing < 0 || (left[differing] ?? 0) > (right[differing] as number)
}

function checkBuild(build: Attempt<Build>): Check {
  if ('error' in build) return fault('addon', 'missing', build.error, `npm install --include=optional, or ${REBUILD}`)
  const { addon } = build.value
  if (!existsSync(addon)) return fault('addon', 'missing', `no ${addon}`, REBUILD)
  return ok('addon', addon)
}

/** LibTorch, against the version that the addon was compiled against. */
function checkLibTorch(build: Attempt<Build>): Check {
  const bootstrap = 'value' in build ? attempt(() => loadBootstrap(build.value)) : build
  const wanted = 'value' in bootstrap ? bootstrap.value.builtAgainst : PINNED_VERSION
  const found = findLibTorch(wanted)
  if ('tried' in found) return fault('libtorch', 'missing', found.tried.join('; '), SETUP)
  const version = libTorchVersion(found.folder)
  const place = `${version ?? 'unknown version'} in ${found.folder} (${found.origin})`
  if (version === wanted) return ok('libtorch', place)
  const state = version && isAtLeast(wanted, version) ? 'too old' : 'broken'
  return fault('libtorch', state, `${place}; ${wanted} is needed`, `unset LIBTORCH, then ${SETUP}; or ${REBUILD}`)
}

/** Parts that are there and do not load together. */
function checkLoading(error: string, build: Attempt<Build>, libtorch: Check): Check[] {
  const explained = 'error' in build || !existsSync(build.value.addon) || libtorch.state !== 'ok'
  return explained ? [] : [fault('engine', 'broken', error, REBUILD)]
}

function describeEngine({ info }: Engine): Check[] {
  const { cpuCapability, cpuBf16, threads } = info
  return [
    ok('engine', `LibTorch's work runs on ${threads} thread${threads === 1 ? '' : 's'}`),
    ok('cpu', `${cpus()[0]?.model.trim() ?? 'unknown'}, ${gibibytes(totalmem())} GiB`),
    ok('kernels', `${cpuCapability}, bf16 ${cpuBf16 ? 'in hardware' : 'in software (fp32 is faster)'}`)
  ]
}

interface Engine {
  addon: Addon
  info: ReturnType<Addon['info']>
  origin: LibTorchOrigin
}

function checkDriver(): Check {
  const driver = driverVersion()
  return driver
    ? ok('driver', driver)
    : optional(fault('driver', 'missing', 'no NVIDIA driver; only for training on GPUs'))
}

/** Driver, devices with their memory, and libmactok_cuda; training on CPUs needs none of them. */
async function checkCuda({ addon, info, origin }: Engine): Promise<Check[]> {
  const { cuda } = info
  const driver = checkDriver()
  const tooOld = whyDriverTooOld(cudaVersion(origin.folder), driverVersion())
  if (tooOld) return [optional(fault('driver', 'too old', tooOld, 'update it: nvidia.com/drivers'))]
  if (cuda.devices === 0) {
    const fix = driver.state === 'ok' ? `${SETUP} --cuda` : undefined
    return [driver, optional(fault('cuda', 'missing', origin.withoutCuda || cuda.reason, fix))]
  }
  const devices = await attemptAsync(() => describeDevices(addon, cuda.capabilities))
  return [
    driver,
    'value' in devices
      ? ok('cuda', devices.value)
      : optional(fault('cuda', 'broken', devices.error, 'nvidia-smi says which process holds the device')),
    cuda.libraryProblem
      ? optional(fault('libmactok_cuda', 'missing', cuda.libraryProblem, `${REBUILD} --cuda`))
      : ok('libmactok_cuda', 'loaded')
  ]
}

/** `2 devices: cuda:0 (sm_90) 70 of 80 GiB free, cuda:1 (sm_75) 80 of 80 GiB free` */
async function describeDevices(addon: Addon, capabilities: number[]): Promise<string> {
  const described = await Promise.all(
    capabilities.map(async (capability, index) => {
      const memory = await native(addon.deviceMemory(`cuda:${index}`))
      const name = `cuda:${index}${capability > 0 ? ` (sm_${capability})` : ''}`
      return memory ? `${name} ${gibibytes(memory.free)} of ${gibibytes(memory.total)} GiB free` : name
    })
  )
  return `${described.length} device${described.length > 1 ? 's' : ''}: ${described.join(', ')}`
}

async function checkSharp(): Promise<Check> {
  const loaded = await attemptAsync(async () => (await import('sharp')).default.versions)
  if ('value' in loaded) return ok('sharp', `${loaded.value.sharp}, libvips ${loaded.value.vips}`)
  return fault('sharp', 'missing', firstLine(loaded.error), 'npm install --include=optional sharp')
}

function checkCache(): Check {
  const folder = cacheFolder()
  const writable = attempt(() => {
    const nearest = nearestExisting(folder)
    if (!statSync(nearest).isDirectory()) throw new Error(`${nearest} is a file`)
    accessSync(nearest, constants.W_OK)
  })
  if ('value' in writable) return ok('cache', folder)
  return optional(fault('cache', 'broken', `${folder} cannot be written`, 'MACTOK_CACHE=<folder> names another'))
}

async function checkDisk(hasLibTorch: boolean): Promise<Check> {
  const found = await attemptAsync(() => statfs(nearestExisting(cacheFolder())))
  if ('error' in found) return optional(fault('disk', 'broken', found.error, 'MACTOK_CACHE=<folder> names another'))
  const free = found.value.bavail * found.value.bsize
  const shown = `${(free / 1e9).toFixed(1)} GB free for the cache`
  if (hasLibTorch || free >= DISK.base) return ok('disk', shown)
  const needed = `${shown}; LibTorch needs ${(DISK.base / 1e9).toFixed(1)} GB`
  return fault('disk', 'missing', needed, 'free some, or MACTOK_CACHE=<folder> elsewhere')
}

function checkPip(): Check {
  const found = attempt(() => findPip().version.join('.'))
  if ('value' in found) return ok('pip', found.value)
  return optional(fault('pip', 'missing', `only for \`${SETUP}\``, remedyOf(found)))
}

function checkCompiler(): Check {
  const found = attempt(requireBuildTools)
  if ('value' in found) return ok('compiler', 'C++ compiler, CMake and ninja or make')
  const state = /too old/.test(found.error) ? 'too old' : 'missing'
  return optional(fault('compiler', state, `${firstLine(found.error)}; only for \`${REBUILD}\``, remedyOf(found)))
}

function checkChromium(): Check {
  const found = findChromium()
  if (found) return ok('chromium', found)
  return optional(fault('chromium', 'missing', "only for mactok's own tests", 'Debian: apt-get install chromium'))
}

type Attempt<T> = { value: T } | { error: string; cause: unknown }

function attempt<T>(action: () => T): Attempt<T> {
  try {
    return { value: action() }
  } catch (cause) {
    return { error: messageOf(cause), cause }
  }
}

async function attemptAsync<T>(action: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { value: await action() }
  } catch (cause) {
    return { error: messageOf(cause), cause }
  }
}

/** The first remedy of a set-up's failure. */
const remedyOf = ({ cause }: { cause: unknown }): string =>
  (cause instanceof Failure && /\n {2}- (.*)/.exec(cause.message)?.[1]) || SETUP

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
const firstLine = (text: string): string => text.split('\n')[0] ?? ''
const gibibytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(0)
const nearestExisting = (path: string): string => (existsSync(path) ? path : nearestExisting(dirname(path)))
