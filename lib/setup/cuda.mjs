// Whether CUDA's parts are wanted on this machine, and whether its driver runs them.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { driverVersion, whyDriverTooOld } from '../native/driver.mjs'
import { Failure } from './report.mjs'

/** Whether there is an NVIDIA driver; `MACTOK_CUDA=1` and `MACTOK_CUDA=0` override that. */
export function wantsCuda() {
  if (process.env.MACTOK_CUDA) return process.env.MACTOK_CUDA !== '0'
  return (
    process.platform === 'linux' &&
    ['/proc/driver/nvidia/version', '/usr/lib/wsl/lib/libcuda.so.1'].some((path) => existsSync(path))
  )
}

/**
 * Refuses to fetch a LibTorch whose CUDA this machine's driver cannot run, unless `MACTOK_CUDA=1` requests it.
 * @param {number | undefined} cuda its major version
 * @param {string | undefined} [driver]
 */
export function requireDriver(cuda, driver = driverVersion()) {
  const problem = whyDriverTooOld(cuda, driver)
  if (!problem || process.env.MACTOK_CUDA === '1') return
  throw new Failure(`LibTorch's CUDA build does not run here: ${problem}`, [
    'update the driver: Debian, Ubuntu: apt-get install nvidia-driver; elsewhere: nvidia.com/drivers',
    'MACTOK_CUDA=0 sets mactok up for the CPU alone',
    "MACTOK_CUDA=1 fetches it all the same, for machines with NVIDIA's forward compatibility package (cuda-compat)",
    'or name a LibTorch for the CUDA version that the driver runs: LIBTORCH=<folder>'
  ])
}

/** @param {string} libtorch */
export const hasCuda = (libtorch) => existsSync(join(libtorch, 'lib', 'libtorch_cuda.so'))
