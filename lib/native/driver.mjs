// NVIDIA's driver. Plain JavaScript, because the set-up needs it before TypeScript is compiled.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

/** CUDA's major version → the oldest series of drivers that runs it. */
const OLDEST_DRIVERS = new Map([
  [12, 525],
  [13, 580]
])

const KERNEL_MODULE = '/proc/driver/nvidia/version'
const NVIDIA_SMI = ['nvidia-smi', '/usr/lib/wsl/lib/nvidia-smi']

/**
 * The version of this machine's NVIDIA driver, such as "580.65.06"; undefined without one.
 * @param {{ file?: string, programs?: string[] }} [places] where to look
 */
export function driverVersion({ file = KERNEL_MODULE, programs = NVIDIA_SMI } = {}) {
  const module = existsSync(file) && readFileSync(file, 'utf8').match(/^NVRM version:.*?\s(\d{3,}(\.\d+)+)\s/m)
  if (module) return module[1]
  for (const program of programs) {
    const options = ['--query-gpu=driver_version', '--format=csv,noheader']
    const { status, stdout } = spawnSync(program, options, { encoding: 'utf8', timeout: 10_000 })
    const version = status === 0 && stdout.match(/^\d{3,}(\.\d+)+/)
    if (version) return version[0]
  }
  return undefined
}

/**
 * Why a driver does not run a version of CUDA; undefined when it does, or when nothing is known about it.
 * @param {number | undefined} cuda major version
 * @param {string | undefined} driver
 */
export function whyDriverTooOld(cuda, driver) {
  const oldest = OLDEST_DRIVERS.get(cuda ?? 0)
  if (!oldest || !driver || Number.parseInt(driver, 10) >= oldest) return undefined
  return `the NVIDIA driver is ${driver}, but CUDA ${cuda} needs ${oldest} or newer`
}
