/** The operations that are more than one of LibTorch's by name, on values of a computation. */

import { flag, integerWithin, oneOf } from '../checks.js'
import { checkOptions } from '../config.js'
import { invalidParameter, outOfRange } from '../errors.js'
import type { DType } from './dtype.js'
import { exact, withNumber } from './promotion.js'
import {
  broadcast,
  checkShape,
  concatenateShapes,
  countElements,
  multiplyShapes,
  permuteShape,
  type Range,
  rangeLength,
  reduceShape,
  resolveDim,
  resolveDims,
  resolveRange,
  type Shape,
  show,
  type TensorIndex
} from './shapes.js'
import {
  apply,
  describe,
  numberValue,
  pair,
  promoteOperands,
  promoteTogether,
  refuseBool,
  requireFloating,
  requireWithin,
  type Value
} from './values.js'

export interface ReduceOptions {
  /** Keeps reduced dimensions, with length 1. */
  keepdim?: boolean
}

export interface StdOptions extends ReduceOptions {
  /** What is subtracted from the number of elements: 1 (default) for a sample, 0 for a population. */
  correction?: number
}

export interface NormOptions extends ReduceOptions {
  /** p of the vector norm, `Infinity` included. Default 2. */
  order?: number
}

export interface InterpolateOptions {
  /** Default `bilinear`. */
  mode?: 'nearest' | 'bilinear' | 'bicubic'
  /** Smooths before it shrinks, as Pillow does; for `bilinear` and `bicubic`. */
  antialias?: boolean
}

export interface CloseOptions {
  /** Relative tolerance; default 1e-5. */
  rtol?: number
  /** Absolute tolerance; default 1e-8. */
  atol?: number
  /** Whether two NaNs are equal. */
  equalNan?: boolean
}

/** Elements, ranges, or all of the dimensions from the first one on. */
export function index(value: Value, indices: readonly TensorIndex[]): Value {
  if (indices.length > value.shape.length) {
    throw outOfRange('indices', `at most ${value.shape.length} for ${show(value.shape)}`, indices)
  }
  let result = value
  let dim = 0
  for (const [i, index] of indices.entries()) {
    const name = `indices[${i}]`
    const length = value.shape[i] as number
    if (index === null) dim++
    else if (Array.isArray(index)) result = slice(result, dim++, name, index as unknown as Range, length)
    else result = select(result, dim, name, index, length)
  }
  return result
}

function select(value: Value, dim: number, name: string, index: unknown, length: number): Value {
  if (typeof index !== 'number') throw invalidParameter(name, 'an integer, [start, end, step] or null', index)
  if (length === 0) throw outOfRange(name, 'a dimension with elements', index)
  integerWithin(name, -length, length - 1, index)
  return apply('select', [value], [dim, index], { shape: value.shape.toSpliced(dim, 1) })
}

function slice(value: Value, dim: number, name: string, range: Range, length: number): Value {
  const resolved = resolveRange(name, range, length)
  const shape = value.shape.with(dim, rangeLength(resolved))
  return apply('slice', [value], [dim, resolved.start, resolved.end, resolved.step], { shape })
}

export function reshape(value: Value, shape: Shape): Value {
  checkShape(shape, countElements(value.shape))
  return apply('reshape', [value], [[...shape]], { shape: [...shape] })
}

export function permute(value: Value, order: unknown): Value {
  const dims = resolveDims('order', order, value.shape.length)
  return apply('permute', [value], [dims], { shape: permuteShape(value.shape, dims) })
}

export function transpose(value: Value, first: number, second: number): Value {
  const rank = value.shape.length
  const [a, b] = [resolveDim('first', first, rank), resolveDim('second', second, rank)]
  const order = value.shape.map((_, dim) => (dim === a ? b : dim === b ? a : dim))
  return permute(value, order)
}

export function squeeze(value: Value, dims: unknown): Value {
  const { shape } = value
  const isOne = (dim: number) => shape[dim] === 1
  const removed = resolveDims('dims', dims, shape.length)
  if (dims !== undefined && !removed.every(isOne))
    throw outOfRange('dims', `dimensions of length 1 of ${show(shape)}`, dims)
  return reshape(
    value,
    shape.filter((_, dim) => !(removed.includes(dim) && isOne(dim)))
  )
}

export function unsqueeze(value: Value, dim: number): Value {
  return reshape(value, value.shape.toSpliced(resolveDim('dim', dim, value.shape.length + 1), 0, 1))
}

export function expand(value: Value, shape: unknown): Value {
  checkShape(shape, null)
  const result = broadcast(value.shape, shape)
  if (!result || show(result) !== show(shape)) {
    throw outOfRange('shape', `a shape that ${show(value.shape)} broadcasts to`, show(shape))
  }
  return apply('expand', [value], [result], { shape: result })
}

export function concatenate(values: readonly [Value, ...Value[]], dim: number): Value {
  checkDtypes(values)
  const place = resolveDim('dim', dim, values[0].shape.length)
  const shape = concatenateShapes(
    values.map((value) => value.shape),
    place
  )
  return apply('cat', values, [place], { shape })
}

export function stack(values: readonly [Value, ...Value[]], dim: number): Value {
  checkDtypes(values)
  const [first] = values
  const stray = values.findIndex(({ shape }) => show(shape) !== show(first.shape))
  if (stray >= 0) throw outOfRange(`tensors[${stray}]`, show(first.shape), show(values[stray]?.shape ?? []))
  const place = resolveDim('dim', dim, first.shape.length + 1)
  return apply('stack', values, [place], { shape: first.shape.toSpliced(place, 0, values.length) })
}

function checkDtypes([first, ...others]: readonly [Value, ...Value[]]): void {
  const stray = others.findIndex(({ dtype }) => dtype !== first.dtype)
  if (stray < 0) return
  throw invalidParameter(`tensors[${stray + 1}]`, `a tensor of ${first.dtype}`, describe(others[stray] as Value))
}

/** `sum`, `mean`, … over `dims`; of all elements where it is undefined. */
export function reduce(
  operation: string,
  value: Value,
  dims: unknown,
  { keepdim = false }: ReduceOptions,
  dtype: DType = value.dtype,
  extra: readonly number[] = []
): Value {
  flag('keepdim', keepdim)
  const resolved = resolveDims('dims', dims, value.shape.length)
  // LibTorch would take none for all of them.
  if (dims !== undefined && resolved.length === 0) throw outOfRange('dims', 'at least one dimension', dims)
  const shape = reduceShape(value.shape, resolved, keepdim)
  return apply(operation, [value], [resolved, keepdim, ...extra], { shape, dtype })
}

/** `min` and `max` have no value for nothing. */
export function extremum(operation: 'min' | 'max', value: Value, dims: unknown, options: ReduceOptions): Value {
  checkOptions(options, { keepdim: true })
  const reduced = resolveDims('dims', dims, value.shape.length)
  if (reduced.some((dim) => value.shape[dim] === 0))
    throw outOfRange('dims', 'dimensions with elements', describe(value))
  return reduce(operation, value, dims, options)
}

/** The place of the extremum along a dimension, or among all elements in row-major order. */
export function place(operation: 'argmin' | 'argmax', value: Value, dim: unknown, options: ReduceOptions): Value {
  checkOptions(options, { keepdim: true })
  const { keepdim = false } = options
  flag('keepdim', keepdim)
  refuseBool(operation, value)
  const { shape } = value
  const resolved = dim === undefined ? null : resolveDim('dim', dim, shape.length)
  const dims = resolved === null ? shape.map((_, i) => i) : [resolved]
  if (dims.some((i) => shape[i] === 0)) throw outOfRange('dim', 'a dimension with elements', describe(value))
  return apply(operation, [value], [resolved, keepdim], { dtype: 'int64', shape: reduceShape(shape, dims, keepdim) })
}

export function std(value: Value, dims: unknown, options: StdOptions): Value {
  checkOptions(options, { keepdim: true, correction: true })
  const { correction = 1 } = options
  requireFloating('std', value)
  integerWithin('correction', 0, Number.MAX_SAFE_INTEGER, correction)
  return reduce('std', value, dims, options, value.dtype, [correction])
}

export function norm(value: Value, dims: unknown, options: NormOptions): Value {
  checkOptions(options, { keepdim: true, order: true })
  const { order = 2 } = options
  requireFloating('norm', value)
  if (typeof order !== 'number') throw invalidParameter('order', 'a number of at least 0', order)
  if (!(order >= 0)) throw outOfRange('order', 'a number of at least 0', order)
  return reduce('norm', value, dims, options, value.dtype, [order])
}

export function clamp(value: Value, min: number | null, max: number | null): Value {
  if (min === null && max === null) throw invalidParameter('min', 'a number for min or max', min)
  const bounds = Object.entries({ min, max }).filter((entry): entry is [string, number] => entry[1] !== null)
  for (const [name, bound] of bounds) {
    if (typeof bound !== 'number') throw invalidParameter(name, 'a number or null', bound)
  }
  const dtype = bounds.reduce((result, [, bound]) => withNumber(result, bound), value.dtype)
  for (const [name, bound] of bounds) requireWithin(name, numberValue(bound), dtype)
  return apply('clamp', [value], [min === null ? null : exact(min), max === null ? null : exact(max)], { dtype })
}

export function where(condition: Value, then: Value, otherwise: Value): Value {
  if (condition.dtype !== 'bool') throw invalidParameter('where', 'a tensor of bool', describe(condition))
  const { dtype, operands } = promoteOperands(then, otherwise)
  for (const [name, part] of Object.entries({ then, otherwise })) requireWithin(name, part, dtype)
  const shape = [then, otherwise].reduce((result: Shape, part, i) => {
    const joined = broadcast(result, part.shape)
    if (joined) return joined
    throw outOfRange(i === 0 ? 'then' : 'otherwise', `a shape that broadcasts with ${show(result)}`, show(part.shape))
  }, condition.shape)
  return apply('where', [condition, ...operands], [], { dtype, shape })
}

export function matmul(a: Value, b: Value): Value {
  refuseBool('matmul', a)
  refuseBool('other', b)
  const { dtype, operands } = promoteTogether(a, b)
  return apply('matmul', operands, [], { dtype, shape: multiplyShapes(a.shape, b.shape) })
}

export function softmax(value: Value, dim: number): Value {
  requireFloating('softmax', value)
  return apply('softmax', [value], [resolveDim('dim', dim, value.shape.length)])
}

/** Resizes [B, C, H, W] to [B, C, ...size]. */
export function interpolate(value: Value, size: unknown, options: InterpolateOptions): Value {
  checkOptions(options, { mode: true, antialias: true })
  const { mode = 'bilinear', antialias = false } = options
  oneOf('mode', ['nearest', 'bilinear', 'bicubic'], mode)
  flag('antialias', antialias)
  if (antialias && mode === 'nearest') throw outOfRange('antialias', 'false for mode nearest', antialias)
  requireFloating('interpolate', value)
  const { shape } = value
  if (shape.length !== 4 || shape.includes(0)) throw outOfRange('interpolate', 'a tensor [B, C, H, W]', describe(value))
  if (!Array.isArray(size) || size.length !== 2) throw invalidParameter('size', '[height, width]', size)
  for (const [i, side] of size.entries()) integerWithin(`size[${i}]`, 1, 2 ** 24, side)
  return apply('interpolate', [value], [[...size], mode, antialias], { shape: [...shape.slice(0, 2), ...size] })
}

export function close(a: Value, b: Value, options: CloseOptions): Value {
  checkOptions(options, { rtol: true, atol: true, equalNan: true })
  const { rtol = 1e-5, atol = 1e-8, equalNan = false } = options
  for (const [name, value] of Object.entries({ rtol, atol })) {
    if (typeof value !== 'number') throw invalidParameter(name, 'a number of at least 0', value)
    if (!(value >= 0)) throw outOfRange(name, 'a number of at least 0', value)
  }
  flag('equalNan', equalNan)
  return pair('isclose', ...promoteTogether(a, b).operands, [rtol, atol, equalNan])
}
