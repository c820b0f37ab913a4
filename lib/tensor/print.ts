import type { DType } from './dtype.js'
import { isFloating } from './promotion.js'
import { type Shape, show } from './shapes.js'

/** Elements at each end of a dimension that are printed. */
export const EDGE = 3

interface Printed {
  dtype: DType
  shape: Shape
  device: string
}

export const header = (name: string, { dtype, shape, device }: Printed): string =>
  `${name} ${dtype} ${show(shape)} ${device}`

/**
 * A tensor as `util.inspect` shows it: its header, and below it the elements as PyTorch prints them, with an
 * ellipsis in the middle of longer dimensions.
 * @param corners - the first and last `EDGE` elements of every longer dimension; null if they cannot be read
 */
export function printTensor(tensor: Printed, corners: ArrayBuffer | null): string {
  if (!corners || tensor.shape.includes(0)) return header('Tensor', tensor)
  const texts =
    tensor.dtype === 'int64'
      ? Array.from(new BigInt64Array(corners), String)
      : Array.from(new Float64Array(corners), (value) => print(value, tensor.dtype))
  const width = Math.max(...texts.map(({ length }) => length))
  let next = 0
  const list = (dim: number): string => {
    const length = tensor.shape[dim]
    if (length === undefined) return (texts[next++] as string).padStart(width)
    const isLong = length > 2 * EDGE
    const items = Array.from({ length: isLong ? 2 * EDGE : length }, () => list(dim + 1))
    if (isLong) items.splice(EDGE, 0, '…')
    const isLast = dim === tensor.shape.length - 1
    return `[${items.join(isLast ? ', ' : `,\n${' '.repeat(dim + 1)}`)}]`
  }
  return `${header('Tensor', tensor)}\n${list(0)}`
}

/** Four decimals, or five digits of what is very small or large. */
function print(value: number, dtype: DType): string {
  if (dtype === 'bool') return String(value !== 0)
  if (!isFloating(dtype) || !Number.isFinite(value)) return String(value)
  if (Object.is(value, -0)) return '-0'
  const size = Math.abs(value)
  return String(Number(size >= 1e-3 && size < 1e7 ? value.toFixed(4) : value.toPrecision(5)))
}
