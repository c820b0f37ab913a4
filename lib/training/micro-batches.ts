import type { NativeTensor } from '../native/addon.js'

/** Views of a batch [B, …] as micro-batches [b, …]; each is to be disposed. */
export function splitBatch(
  tensor: NativeTensor,
  { batch, microBatch }: { batch: number; microBatch: number | null }
): NativeTensor[] {
  const size = microBatch ?? batch
  return Array.from({ length: batch / size }, (_, i) => tensor.slice(i * size, (i + 1) * size))
}
