// For maintainers: node scripts/pin.mjs writes libtorch.json, the wheels of PINNED_VERSION for every platform.
//   base      LibTorch and what its CPU library names
//   cuda      what its CUDA library names besides, as LibTorch's metadata lists it
//   headers   to compile native/cuda
import { writeFileSync } from 'node:fs'
import { PINNED_VERSION } from '../lib/native/libtorch.mjs'
import { findPip, PLATFORMS, resolveWheels } from './pip.mjs'
import { Failure, run } from './report.mjs'

const BASE = /^(torch|nvidia-cuda-(runtime|cupti))$/
const HEADERS = /^nvidia-cuda-(runtime|crt)$/

run(() => {
  const pip = findPip()
  const pins = Object.fromEntries(PLATFORMS.map((platform) => [platform, pin(pip, platform)]))
  const path = new URL('libtorch.json', import.meta.url)
  writeFileSync(path, `${JSON.stringify({ version: PINNED_VERSION, platforms: pins }, null, 2)}\n`)
})

/**
 * @param {import('./pip.mjs').Pip} pip
 * @param {import('./pip.mjs').Platform} platform
 */
function pin(pip, platform) {
  const linux = platform.startsWith('linux')
  const all = wheels(pip, platform, [`torch==${PINNED_VERSION}`], linux).filter(
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
 * @param {import('./pip.mjs').Pip} pip
 * @param {import('./pip.mjs').Platform} platform
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
