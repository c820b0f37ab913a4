import { createRequire } from 'node:module'
import { cpus, totalmem } from 'node:os'
import type { Command } from 'commander'
import { driverVersion, whyDriverTooOld } from '../native/driver.mjs'
import { cudaVersion } from '../native/libtorch.mjs'
import { cacheFolder, locateWeights } from '../weights/index.js'
import { addExamples } from './options.js'
import { writeJson, writeTable } from './output.js'

const teachers = ['dinov2-small', 'dinov2-base', 'dinov2-large', 'dinov2-giant']

export function define(command: Command): void {
  command.option('--json', 'write JSON to standard output')
  addExamples(command, { 'mactok doctor': 'check what is installed, and where' })
  command.action(async ({ json = false }: { json?: boolean }) => {
    const report = await examine()
    if (json) return writeJson(report)
    writeTable(Object.entries(report))
  })
}

/**
 * Reports on this machine, by name.
 * @throws {MactokError} `ERR_NATIVE_LOAD` with what was tried and what to do
 */
async function examine(): Promise<Record<string, string>> {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
  const { addon, libtorchOrigin } = await import('../native/load.js')
  const { folder, origin, version: libtorch, withoutCuda } = libtorchOrigin()
  const { cpuCapability, cpuBf16, threads, cuda } = addon().info()
  const located = await Promise.all(teachers.map(async (name) => ((await locateWeights(name)) ? name : [])))
  const weights = located.flat()
  return {
    mactok: version,
    node: `${process.versions.node} on ${process.platform} ${process.arch}`,
    libtorch: `${libtorch} in ${folder} (${origin})`,
    cpu: `${cpus()[0]?.model.trim() ?? 'unknown'}, ${gibibytes(totalmem())} GiB`,
    kernels: `${cpuCapability}, bf16 ${cpuBf16 ? 'in hardware' : 'in software (fp32 is faster)'}`,
    threads: String(threads),
    cuda:
      cuda.devices > 0
        ? await describeDevices(cuda.capabilities)
        : `no: ${withoutCuda || explainDriver(folder) || cuda.reason}`,
    ...(cuda.libraryProblem && { libmactok_cuda: `no: ${cuda.libraryProblem}; \`npm run build:cuda\` builds it` }),
    cache: cacheFolder(),
    weights: weights.join(', ') || 'none; `mactok weights pull facebook/dinov2-small` downloads a teacher'
  }
}

const gibibytes = (bytes: number) => (bytes / 2 ** 30).toFixed(0)

/** The most frequent reason for no device: a driver that is older than LibTorch's CUDA. */
const explainDriver = (libtorch: string) => whyDriverTooOld(cudaVersion(libtorch), driverVersion())

/** `2 devices: cuda:0 (sm_90) 70 of 80 GiB free, cuda:1 (sm_75) 80 of 80 GiB free` */
async function describeDevices(capabilities: number[]): Promise<string> {
  const { deviceMemory } = await import('../tensor/tensor.js')
  const described = await Promise.all(
    capabilities.map(async (capability, index) => {
      const memory = await deviceMemory(`cuda:${index}`)
      const name = `cuda:${index}${capability > 0 ? ` (sm_${capability})` : ''}`
      return memory ? `${name} ${gibibytes(memory.free)} of ${gibibytes(memory.total)} GiB free` : name
    })
  )
  return `${described.length} device${described.length > 1 ? 's' : ''}: ${described.join(', ')}`
}
