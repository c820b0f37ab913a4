/** The shapes that operations give, and what they refuse. */

import { integerWithin } from '../checks.js'
import { invalidParameter, outOfRange } from '../errors.js'

export type Shape = readonly number[]

/** `[2, 3]` */
export const show = (shape: Shape): string => `[${shape.join(', ')}]`

export const countElements = (shape: Shape): number => shape.reduce((product, length) => product * length, 1)

/** @param size - the number of elements; null where it may differ */
export function checkShape(shape: unknown, size: number | null): asserts shape is number[] {
  if (!Array.isArray(shape) || !shape.every((length) => Number.isInteger(length) && length >= 0)) {
    throw invalidParameter('shape', 'an array of non-negative integers', shape)
  }
  if (size === null || countElements(shape) === size) return
  throw outOfRange('shape', `a product of ${size}, the number of elements`, shape)
}

/** Resolves a dimension of `rank`, of which negative ones count from the end. */
export function resolveDim(name: string, dim: unknown, rank: number): number {
  if (rank === 0) throw outOfRange(name, 'a tensor with at least one dimension', dim)
  integerWithin(name, -rank, rank - 1, dim)
  return dim < 0 ? dim + rank : dim
}

/** Resolves one or more dimensions; undefined for all of them. */
export function resolveDims(name: string, dims: unknown, rank: number): number[] {
  if (dims === undefined) return Array.from({ length: rank }, (_, dim) => dim)
  if (typeof dims === 'number') return [resolveDim(name, dims, rank)]
  if (!Array.isArray(dims)) throw invalidParameter(name, 'a dimension or an array of them', dims)
  const resolved = dims.map((dim, i) => resolveDim(`${name}[${i}]`, dim, rank))
  if (new Set(resolved).size < resolved.length) throw outOfRange(name, 'different dimensions', dims)
  return resolved
}

export function permuteShape(shape: Shape, order: number[]): Shape {
  if (order.length !== shape.length) {
    throw outOfRange('order', `all ${shape.length} dimensions of ${show(shape)}`, order)
  }
  return order.map((dim) => shape[dim] as number)
}

/** The shape of an elementwise operation; null where the shapes do not fit. */
export function broadcast(a: Shape, b: Shape): number[] | null {
  const rank = Math.max(a.length, b.length)
  const result: number[] = []
  for (let dim = 0; dim < rank; dim++) {
    const [m, n] = [a[dim - rank + a.length] ?? 1, b[dim - rank + b.length] ?? 1]
    if (m !== n && m !== 1 && n !== 1) return null
    result.push(m === 1 ? n : m)
  }
  return result
}

export function broadcastTogether(name: string, a: Shape, b: Shape): number[] {
  const shape = broadcast(a, b)
  if (!shape) throw outOfRange(name, `a shape that broadcasts with ${show(a)}`, show(b))
  return shape
}

export function reduceShape(shape: Shape, dims: readonly number[], keepdim: boolean): Shape {
  if (keepdim) return shape.map((length, dim) => (dims.includes(dim) ? 1 : length))
  return shape.filter((_, dim) => !dims.includes(dim))
}

/** The shape of a matrix product: vectors are a row on the left and a column on the right; leading dimensions broadcast. */
export function multiplyShapes(a: Shape, b: Shape): Shape {
  if (a.length === 0) throw outOfRange('matmul', 'a tensor with at least one dimension', show(a))
  if (b.length === 0) throw outOfRange('other', 'a tensor with at least one dimension', show(b))
  const [inner, rows] = [a.at(-1) as number, (b.length === 1 ? b[0] : b.at(-2)) as number]
  const batch = broadcast(a.slice(0, -2), b.slice(0, -2))
  if (inner !== rows || !batch) {
    const expected = b.length === 1 ? `[${inner}]` : `[…, ${inner}, n], its leading dimensions as those of ${show(a)}`
    throw outOfRange('other', expected, show(b))
  }
  return [...batch, ...a.slice(-2, -1), ...(b.length === 1 ? [] : b.slice(-1))]
}

/** The shape of joined tensors, equal in every other dimension. */
export function concatenateShapes(shapes: readonly Shape[], dim: number): Shape {
  const first = shapes[0] as Shape
  for (const [i, shape] of shapes.entries()) {
    const fits = shape.length === first.length && shape.every((length, k) => k === dim || length === first[k])
    if (!fits) throw outOfRange(`tensors[${i}]`, `${show(first)} except in dimension ${dim}`, show(shape))
  }
  const total = shapes.reduce((sum, shape) => sum + (shape[dim] as number), 0)
  return first.with(dim, total)
}

/**
 * Elements of one dimension, [start, end) by step; null or undefined for its beginning and its end. Negative ones count
 * from the end.
 */
export type Range = readonly [start: number | null, end?: number | null, step?: number]

/** One dimension's part of an index: an element, a range, or null for all of it. */
export type TensorIndex = number | Range | null

export interface ResolvedRange {
  start: number
  end: number
  step: number
}

/** Resolves a range of a dimension of `length` elements. */
export function resolveRange(name: string, range: Range, length: number): ResolvedRange {
  const [first, last, step = 1] = range
  if (![1, 2, 3].includes(range.length)) throw invalidParameter(name, '[start, end, step]', range)
  const place = (part: string, value: number | null | undefined, fallback: number) => {
    if (value === null || value === undefined) return fallback
    integerWithin(`${part} of ${name}`, -length, length, value)
    return value < 0 ? value + length : value
  }
  const start = place('start', first, 0)
  const end = place('end', last, length)
  if (end < start) throw outOfRange(`end of ${name}`, `${start} to ${length}`, last)
  integerWithin(`step of ${name}`, 1, Number.MAX_SAFE_INTEGER, step)
  return { start, end, step }
}

export const rangeLength = ({ start, end, step }: ResolvedRange): number => Math.ceil((end - start) / step)
