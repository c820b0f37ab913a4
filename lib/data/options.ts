import { availableParallelism } from 'node:os'
import { natural, positive } from '../checks.js'
import type { PrefetchOptions } from './prefetch.js'
import type { Broken, ReaderOptions } from './reader.js'

/** Options shared by training and evaluation batches. */
export interface BatchOptions extends Partial<PrefetchOptions>, Partial<ReaderOptions> {
  /** Side of the square images, in pixels. */
  size: number
  /** B, images per batch. */
  batch: number
}

/**
 * Checks the options and fills in their defaults: two images in flight per core, so that reading and decoding overlap.
 */
export function completeOptions<T extends BatchOptions>(options: T, cacheBytes: number): T & Required<BatchOptions> {
  const result = {
    ...options,
    prefetch: options.prefetch ?? 2,
    concurrency: options.concurrency ?? 2 * availableParallelism(),
    cacheBytes: options.cacheBytes ?? cacheBytes,
    strict: options.strict ?? false,
    onBroken: options.onBroken ?? warn
  }
  for (const name of ['size', 'batch', 'concurrency'] as const) positive(name, result[name])
  for (const name of ['prefetch', 'cacheBytes'] as const) natural(name, result[name])
  return result
}

/** Bytes of decoded images that training keeps in memory. */
export const trainingCacheBytes = 512 * 2 ** 20

const warn = ({ name, reason }: Broken) => process.emitWarning(`${name}: ${reason}`, 'BrokenImage')
