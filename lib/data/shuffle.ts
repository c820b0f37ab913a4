/**
 * Counter-based draws: rows × columns uniforms in [0, 1), row i a function of (seed, stream, step, firstIndex + i)
 * only.
 */
export type Uniform = (
  seed: number,
  stream: string,
  step: number,
  firstIndex: number,
  rows: number,
  columns: number
) => Float32Array

/** A random order of 0 … size − 1: the argsort of one draw each, in steps of 2⁻²⁴, ties by index. */
export function permutation(uniform: Uniform, seed: number, stream: string, step: number, size: number): Uint32Array {
  const draws = uniform(seed, stream, step, 0, size, 1)
  // Draw and index share one double (24 and 28 of its 53 bits): sorting numbers natively is many times faster than a
  // comparator.
  const keys = Float64Array.from(draws, (draw, index) => Math.floor(draw * 2 ** 24) * 2 ** 28 + index).sort()
  return Uint32Array.from(keys, (key) => key % 2 ** 28)
}

/** Maps positions of an endless training run to images: epoch after epoch, each in a new order. */
export function sampleOrder(uniform: Uniform, seed: number, size: number): (position: number) => number {
  let current: { epoch: number; order: Uint32Array } = { epoch: -1, order: new Uint32Array() }
  return (position) => {
    const epoch = Math.floor(position / size)
    if (epoch !== current.epoch) current = { epoch, order: permutation(uniform, seed, 'shuffle', epoch, size) }
    return current.order[position % size] as number
  }
}
