import { createRequire } from 'node:module'
import { cpus, totalmem } from 'node:os'
import type { Command } from 'commander'
import { cacheFolder, locateWeights } from '../weights/index.js'
import { addExamples, writeJson, writeTable } from './context.js'

const known = ['dinov2-small', 'dinov2-base', 'dinov2-large', 'dinov2-giant']

export function define(command: Command): void {
  command.option('--json', 'write JSON to standard output')
  addExamples(command, { 'mactok doctor': 'is everything there, and where?' })
  command.action(async ({ json = false }: { json?: boolean }) => {
    const report = await examine()
    if (json) return writeJson(report)
    writeTable(Object.entries(report))
  })
}

/** @throws {MactokError} `ERR_NATIVE_LOAD` with what was tried and what to do */
async function examine(): Promise<Record<string, string>> {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
  const { addon, libtorchOrigin } = await import('../native/load.js')
  const { folder, origin, version: libtorch, withoutCuda } = libtorchOrigin()
  const { cpuCapability, cpuBf16, threads, cuda } = addon().info()
  const found = await Promise.all(known.map(async (name) => ((await locateWeights(name)) ? name : [])))
  const weights = found.flat()
  return {
    mactok: version,
    node: `${process.versions.node} on ${process.platform} ${process.arch}`,
    libtorch: `${libtorch} in ${folder} (${origin})`,
    cpu: `${cpus()[0]?.model.trim() ?? 'unknown'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
    kernels: `${cpuCapability}, bf16 ${cpuBf16 ? 'in hardware' : 'in software (fp32 is faster)'}`,
    threads: String(threads),
    cuda:
      cuda.devices > 0 ? `${cuda.devices} device${cuda.devices > 1 ? 's' : ''}` : `no: ${withoutCuda || cuda.reason}`,
    cache: cacheFolder(),
    weights: weights.join(', ') || 'none; `mactok weights pull facebook/dinov2-small` fetches a teacher'
  }
}
