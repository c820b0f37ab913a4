// For maintainers: node scripts/pin.mjs writes lib/setup/wheels.json, the wheels of PINNED_VERSION and of OLDER for every platform.
//   base      LibTorch and what its CPU library depends on
//   cuda      what its CUDA library also depends on, as LibTorch's metadata lists it
//   headers   what compiling native/cuda needs
// Older versions, which `npm run check:libtorch` builds against, have `base` alone.
import { writeFileSync } from 'node:fs'
import { PINNED_VERSION } from '../lib/native/libtorch.mjs'
import { findPip, PLATFORMS, resolveWheels } from '../lib/setup/pip.mjs'
import { Failure, run } from '../lib/setup/report.mjs'

const BASE = /^(torch|nvidia-cuda-(runtime|cupti))$/
/** The other versions that the sources compile against: the last of each series. */
const OLDER = ['2.11.0', '2.12.1', '2.13.0', '2.14.1']
const HEADERS = /^nvidia-(cuda-(runtime|crt)|nccl-cu\d+|cuda-cccl)$/

run(() => {
  const pip = findPip()
  /**
   * @template T
   * @param {(platform: import('../lib/setup/pip.mjs').Platform) => T} pins
   */
  const everywhere = (pins) => Object.fromEntries(PLATFORMS.map((platform) => [platform, pins(platform)]))
  const platforms = everywhere((platform) => pin(pip, platform))
  const older = OLDER.map((version) => [
    version,
    everywhere((platform) => ({ base: wheelsOf(pip, platform, version).filter(({ name }) => BASE.test(name)) }))
  ])
  const pins = { version: PINNED_VERSION, platforms, older: Object.fromEntries(older) }
  writeFileSync(new URL('../lib/setup/wheels.json', import.meta.url), `${JSON.stringify(pins, null, 2)}\n`)
})

/**
 * @param {import('../lib/setup/pip.mjs').Pip} pip
 * @param {import('../lib/setup/pip.mjs').Platform} platform
 */
function pin(pip, platform) {
  const all = wheelsOf(pip, platform, PINNED_VERSION).filter(
    ({ name }) => BASE.test(name) || name.startsWith('nvidia-')
  )
  const runtime = all.find(({ name }) => name === 'nvidia-cuda-runtime')
  const series = runtime?.version.split('.').slice(0, 2).join('.')
  const headers = runtime
    ? wheels(pip, platform, [`nvidia-cuda-crt==${series}.*`], false).concat(
        all.filter(({ name }) => HEADERS.test(name))
      )
    : []
  return {
    base: all.filter(({ name }) => BASE.test(name)),
    cuda: all.filter(({ name }) => !BASE.test(name)),
    headers
  }
}

/**
 * LibTorch's wheel, on Linux with those that it depends on.
 * @param {import('../lib/setup/pip.mjs').Pip} pip
 * @param {import('../lib/setup/pip.mjs').Platform} platform
 * @param {string} version
 */
function wheelsOf(pip, platform, version) {
  return wheels(pip, platform, [`torch==${version}`], platform.startsWith('linux'))
}

/**
 * @param {import('../lib/setup/pip.mjs').Pip} pip
 * @param {import('../lib/setup/pip.mjs').Platform} platform
 * @param {string[]} requirements
 * @param {boolean} dependencies
 */
function wheels(pip, platform, requirements, dependencies) {
  const found = resolveWheels(pip, platform, requirements, { dependencies })
  if (!found) throw new Failure('Pinning needs pip 23.2 or newer')
  return found.map(({ name, version, url, sha256 }) => ({
    name,
    version,
    file: decodeURIComponent(url.split('/').at(-1) ?? ''),
    sha256
  }))
}
