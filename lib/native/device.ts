import { invalidParameter, outOfRange } from '../errors.js'
import { addon } from './load.js'

/**
 * `auto` is the first CUDA device where LibTorch finds one, else the CPU; everything else is checked and returned.
 * @throws {TypeError} not a device's name
 * @throws {RangeError} a device that is not here, with the reason
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

/** @throws {RangeError} where work is to be recorded as CUDA graphs on a device that has none */
export function checkGraphs(graphs: boolean, device: string): void {
  if (typeof graphs !== 'boolean') throw invalidParameter('graphs', 'true or false', graphs)
  if (graphs && device === 'cpu') throw outOfRange('graphs', 'false on a CPU, as only CUDA devices have graphs', graphs)
}

/** bf16 pays where the hardware multiplies it: CUDA devices, and CPUs with AVX512-BF16. */
export function bestPrecision(device: string): 'fp32' | 'bf16' {
  return device !== 'cpu' || addon().info().cpuBf16 ? 'bf16' : 'fp32'
}
