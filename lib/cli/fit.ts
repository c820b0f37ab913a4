/** Says before a run whether it fits into the memory. */

import { totalmem } from 'node:os'
import { ranksFromEnvironment } from '../distributed/ranks.js'
import { estimateMemory } from '../estimate/estimate.js'
import type { AttentionKind, Precision } from '../estimate/transformer.js'
import type { Work } from '../estimate/work.js'
import type { SharedConfig } from '../training/schema.js'
import { gigabytes } from './output.js'

/** A start event's part that decides the memory. */
interface Start {
  device: string
  config: SharedConfig & { precision: Precision }
}

/** What a process on the CPU takes before it holds any tensors, in bytes. */
const processBytes = 0.35e9

/** How attention is computed: our kernel for bfloat16 on CPUs keeps its weights. */
export const attentionOn = (device: string, precision: Precision): AttentionKind =>
  device === 'cpu' && precision === 'bf16' ? 'products' : 'fused'

async function availableBytes(device: string): Promise<number | undefined> {
  if (device !== 'cpu') {
    const { addon } = await import('../native/load.js')
    return (await addon().deviceMemory(device))?.total
  }
  // Zero or more than there is where nothing constrains the process.
  const limit = process.constrainedMemory?.() || Number.POSITIVE_INFINITY
  return Math.min(totalmem(), limit)
}

/** `needs about 18.8 GB of the 85 GB of cuda:0`, or what to do where it needs more; null where the memory is unknown. */
export async function describeFit({ device, config }: Start, work: Work): Promise<string | null> {
  const available = await availableBytes(device)
  if (available === undefined) return null
  const { batch, precision } = config
  const ranks = ranksFromEnvironment().worldSize
  const need = (microBatch: number) =>
    estimateMemory(
      work,
      { microBatch, precision, gpus: ranks, nodes: 1, sharded: false },
      device === 'cpu' ? processBytes : undefined
    ).total
  const total = need(config.microBatch ?? batch)
  const memory = device === 'cpu' ? 'this machine' : device
  if (total <= available) return `needs about ${gigabytes(total)} of the ${gigabytes(available)} of ${memory}`
  let fitting = batch
  while (fitting > ranks && (batch % fitting !== 0 || fitting % ranks !== 0 || need(fitting) > available)) fitting--
  const remedy = need(fitting) <= available ? `--micro-batch ${fitting} would fit` : '--checkpointing needs less'
  return `needs about ${gigabytes(total)}, more than the ${gigabytes(available)} of ${memory}: ${remedy}`
}
