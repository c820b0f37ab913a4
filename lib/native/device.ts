import { flag, text } from '../checks.js'
import { invalidParameter, outOfRange } from '../errors.js'
import type { Precision } from './addon.js'
import { addon } from './load.js'

const NAMES = 'auto, cpu, cuda, cuda:<index> or mps'

/** @throws {TypeError} for something other than a device's name; does not load the addon */
export function checkDevice(device: unknown): asserts device is string {
  text('device', NAMES, device)
  if (!/^(auto|cpu|cuda(:\d{1,3})?|mps(:0)?)$/.test(device)) throw invalidParameter('device', NAMES, device)
}

/**
 * Resolves `auto` to a CUDA device, where LibTorch finds one, else to the CPU, and checks any other name. `mps` is Apple's GPU.
 * Devices with an index are named by it, as LibTorch does: `mps` is `mps:0`.
 * @param local - the device that `auto` and `cuda` mean; a process that sees one device takes that
 * @throws {TypeError} for something other than a device's name
 * @throws {RangeError} for a device that is not available, with the reason
 */
export function resolveDevice(device: string = 'auto', local = 0): string {
  checkDevice(device)
  if (device === 'cpu') return device
  const { cuda, mps } = addon().info()
  if (isMps(device)) {
    if (!mps.available) throw new RangeError(`Device mps is not available: ${mps.reason}`)
    return 'mps:0'
  }
  if (device === 'auto' && cuda.devices === 0) return 'cpu'
  if (cuda.devices === 0) throw new RangeError(`Device ${device} is not available: ${cuda.reason}`)
  const index = Number(device.split(':')[1] ?? (cuda.devices === 1 ? 0 : local))
  if (index >= cuda.devices) throw outOfRange('device', `cuda:0 to cuda:${cuda.devices - 1}`, device)
  return `cuda:${index}`
}

const isCuda = (device: string) => device.startsWith('cuda')
export const isMps = (device: string): boolean => device.startsWith('mps')

/** @throws {RangeError} for CUDA graphs on a device that has none */
export function checkGraphs(graphs: boolean, device: string): void {
  flag('graphs', graphs)
  if (!graphs || isCuda(device)) return
  const place = device === 'cpu' ? 'a CPU' : device
  throw outOfRange('graphs', `false on ${place}, as only CUDA devices have graphs`, graphs)
}

/** Whether work on the device can be recorded as graphs: on CUDA with libmactok_cuda. */
export const hasGraphs = (device: string): boolean => isCuda(device) && !addon().info().cuda.libraryProblem

/** What `bestPrecision` must know of this machine. */
interface Bf16Support {
  cpuBf16: boolean
  cuda: { capabilities: number[] }
}

/** bf16 where the hardware multiplies it (CUDA devices from sm_80 on, CPUs with AVX512-BF16), otherwise fp32. */
export function bestPrecision(device: string, info: Bf16Support = addon().info()): 'fp32' | 'bf16' {
  if (device === 'cpu') return info.cpuBf16 ? 'bf16' : 'fp32'
  // What MPS gains by bf16 was never measured.
  if (!isCuda(device)) return 'fp32'
  const capability = info.cuda.capabilities[Number(device.split(':')[1] ?? 0)]
  // An unknown device is taken for a recent one.
  return !capability || capability >= 80 ? 'bf16' : 'fp32'
}

/** What to say of a precision that the device computes slowly; null for others. */
export function slownessOf(precision: Precision, device: string, info: Bf16Support = addon().info()): string | null {
  if (precision !== 'bf16' || bestPrecision(device, info) === 'bf16' || isMps(device)) return null
  const place = device === 'cpu' ? 'This CPU' : device
  return `${place} has no units for bfloat16: bf16 may be many times slower than fp32 (--precision fp32)`
}
