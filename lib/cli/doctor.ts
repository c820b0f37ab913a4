import { createRequire } from 'node:module'
import { cpus, totalmem } from 'node:os'
import type { Command } from 'commander'
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
    cuda: cuda.devices > 0 ? await describeDevices(cuda.devices) : `no: ${withoutCuda || cuda.reason}`,
    cache: cacheFolder(),
    weights: weights.join(', ') || 'none; `mactok weights pull facebook/dinov2-small` downloads a teacher'
  }
}

const gibibytes = (bytes: number) => (bytes / 2 ** 30).toFixed(0)

/** `2 devices: cuda:0 70 of 80 GiB free, cuda:1 80 of 80 GiB free` */
async function describeDevices(count: number): Promise<string> {
  const { deviceMemory } = await import('../tensor/tensor.js')
  const described = Array.from({ length: count }, async (_, index) => {
    const memory = await deviceMemory(`cuda:${index}`)
    return `cuda:${index}${memory ? ` ${gibibytes(memory.free)} of ${gibibytes(memory.total)} GiB free` : ''}`
  })
  return `${count} device${count > 1 ? 's' : ''}: ${(await Promise.all(described)).join(', ')}`
}
