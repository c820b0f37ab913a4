import { flag } from '../checks.js'
import { invalidParameter, outOfRange } from '../errors.js'
import { addon } from './load.js'

/**
 * The device of a name: `auto` is the first CUDA device that LibTorch finds, else the CPU.
 * @throws {TypeError} not the name of a device
 * @throws {RangeError} a device that this machine does not have, with the reason
 */
export function resolveDevice(device: string = 'auto'): string {
  if (typeof device !== 'string' || !/^(auto|cpu|cuda(:\d{1,3})?)$/.test(device)) {
    throw invalidParameter('device', 'auto, cpu, cuda or cuda:<index>', device)
  }
  if (device === 'cpu') return device
  const { cuda } = addon().info()
  if (device === 'auto') return cuda.devices > 0 ? 'cuda:0' : 'cpu'
  const index = Number(device.split(':')[1] ?? 0)
  if (index >= cuda.devices) {
    throw outOfRange('device', cuda.reason || `cuda:0 to cuda:${cuda.devices - 1}`, device)
  }
  return `cuda:${index}`
}

/** @throws {RangeError} CUDA graphs on a device without them */
export function checkGraphs(graphs: boolean, device: string): void {
  flag('graphs', graphs)
  if (graphs && device === 'cpu') throw outOfRange('graphs', 'false on a CPU, as only CUDA devices have graphs', graphs)
}

/** bf16 where the hardware multiplies it, on CUDA devices and CPUs with AVX512-BF16; else fp32. */
export function bestPrecision(device: string): 'fp32' | 'bf16' {
  return device !== 'cpu' || addon().info().cpuBf16 ? 'bf16' : 'fp32'
}
