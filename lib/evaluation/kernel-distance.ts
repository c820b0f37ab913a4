import { callbacks, instance, positive } from '../checks.js'
import { checkOptions } from '../config.js'
import { permutation } from '../data/shuffle.js'
import { MactokError, outOfRange } from '../errors.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { Tensor } from '../tensor/tensor.js'

export interface KernelDistanceOptions {
  /** Subsets to average over. Default 100. */
  subsets?: number
  /** Rows in a subset, at most as many as there are. Default 1,000. */
  size?: number
  /** Decides the subsets. Default 0. */
  seed?: number
  signal?: AbortSignal | undefined
}

export interface KernelDistance {
  /** The squared maximum mean discrepancy, mean over the subsets; unbiased, so it may be below zero. */
  distance: number
  /** Standard deviation over the subsets. */
  deviation: number
}

/**
 * KID (Bińkowski et al. 2018) of features [N, D] and [M, D]: the unbiased squared maximum mean discrepancy with the kernel
 * (x·y / D + 1)³, over random subsets as in torch-fidelity and dgm-eval. One computation where both are no more than a subset.
 * @throws {RangeError} fewer than two rows
 */
export async function kernelDistance(
  real: Tensor<'float32'>,
  generated: Tensor<'float32'>,
  options: KernelDistanceOptions = {}
): Promise<KernelDistance> {
  checkOptions(options, { subsets: true, size: true, seed: true, signal: true })
  const { subsets = 100, size = 1_000, seed = 0, signal } = options
  for (const [name, value] of Object.entries({ subsets, size })) positive(name, value)
  for (const [name, value] of Object.entries({ real, generated })) instance(name, 'a Tensor', Tensor, value)
  callbacks({ signal })
  const rows = ({ shape }: Tensor) => shape[0] as number
  const counts = [rows(real), rows(generated)] as const
  for (const [name, features] of Object.entries({ real, generated })) {
    if (rows(features) < 2) throw outOfRange(name, 'features of 2 or more images', rows(features))
  }
  const chosen = Math.min(Math.max(2, size), ...counts)
  const choose = (of: 'real' | 'generated', subset: number, count: number) => {
    const order = permutation(addon().uniform, seed, `kernel-distance/${of}`, subset, count)
    return addon().tensor(BigInt64Array.from(order.subarray(0, chosen), BigInt), 'int64', [chosen], 'cpu')
  }
  const values: number[] = []
  const total = Math.max(...counts) <= chosen ? 1 : subsets
  for (let subset = 0; subset < total; subset++) {
    if (signal?.aborted) throw new MactokError('ERR_ABORTED', 'The kernel distance was stopped')
    const [first, second] = [choose('real', subset, counts[0]), choose('generated', subset, counts[1])]
    try {
      values.push(await native(addon().kernelDistance(real.native, generated.native, first, second)))
    } finally {
      first.dispose()
      second.dispose()
    }
  }
  const distance = values.reduce((sum, value) => sum + value, 0) / total
  const squares = values.reduce((sum, value) => sum + (value - distance) ** 2, 0)
  return { distance, deviation: Math.sqrt(squares / total) }
}
