/** What a computation consists of: tensors, numbers, and operations on such values, each with its dtype and shape. */

import { invalidParameter, outOfRange } from '../errors.js'
import type { NativeOption, NativeStep, NativeTensor } from '../native/addon.js'
import type { DType } from './dtype.js'
import { exact, exceededRange, fractional, isFloating, isWhole, promote, withNumber } from './promotion.js'
import { broadcastTogether, type Shape, show } from './shapes.js'

export interface Value {
  readonly dtype: DType
  readonly shape: Shape
  /** Null for a number, which fits every device. */
  readonly device: string | null
  readonly source: Source
}

type Source =
  /** Read when it is computed; throws ERR_DISPOSED then. */
  | { readonly tensor: () => NativeTensor }
  | { readonly number: number | bigint }
  | {
      readonly operation: string
      readonly inputs: readonly Value[]
      readonly options: readonly NativeOption[]
    }

/** `float32 [2, 3] on cpu`, for messages. */
export const describe = ({ dtype, shape, device }: Value): string => `${dtype} ${show(shape)} on ${device}`

export const numberValue = (number: number | bigint): Value => ({
  dtype: isWhole(number) ? 'int64' : 'float32',
  shape: [],
  device: null,
  source: { number }
})

/** An operation whose result has the first input's dtype, shape and device, unless `result` says otherwise. */
export function apply(
  operation: string,
  inputs: readonly [Value, ...Value[]],
  options: readonly NativeOption[] = [],
  result: { dtype?: DType; shape?: Shape; device?: string } = {}
): Value {
  const { dtype = inputs[0].dtype, shape = inputs[0].shape } = result
  const device = result.device ?? commonDevice(inputs)
  return { dtype, shape, device, source: { operation, inputs, options } }
}

function commonDevice(values: readonly Value[]): string | null {
  const [first, ...others] = values.filter(({ device }) => device !== null)
  const stray = others.find(({ device }) => device !== first?.device)
  if (stray) throw invalidParameter('device', `a tensor on ${first?.device} as the others`, describe(stray))
  return first?.device ?? null
}

export function requireFloating(operation: string, value: Value): void {
  if (isFloating(value.dtype)) return
  const expected = 'a tensor of float32, float64, float16 or bfloat16 (see `to`)'
  throw invalidParameter(operation, expected, describe(value))
}

export function refuseBool(name: string, value: Value): void {
  if (value.dtype === 'bool') throw invalidParameter(name, 'a tensor of numbers (see `to`)', describe(value))
}

const exceeded = ({ source }: Value, dtype: DType) =>
  'number' in source ? exceededRange(dtype, source.number) : undefined

/** Refuses a whole number that an integer dtype does not hold, because LibTorch would wrap it. */
export function requireWithin(name: string, value: Value, dtype: DType): void {
  const range = exceeded(value, dtype)
  if (!range) return
  const { number } = value.source as { number: number | bigint }
  throw outOfRange(name, `an integer from ${range[0]} to ${range[1]}, which ${dtype} holds (see \`to\`),`, number)
}

const convert = (value: Value, dtype: DType): Value =>
  value.dtype === dtype || 'number' in value.source
    ? value
    : apply('to', [value], [{ device: value.device as string }, { dtype }], { dtype })

function promoteValues(a: Value, b: Value): DType {
  const [first, second] = [a.source, b.source]
  if ('number' in first && 'number' in second) return promote(a.dtype, b.dtype)
  if ('number' in first) return withNumber(b.dtype, first.number)
  if ('number' in second) return withNumber(a.dtype, second.number)
  return promote(a.dtype, b.dtype)
}

/**
 * Two operands with their common dtype. LibTorch ignores the dtypes of tensors without dimensions beside others;
 * converted, they count like all, so that types alone tell the dtype of a result.
 */
export function promoteOperands(a: Value, b: Value): { dtype: DType; operands: [Value, Value] } {
  const dtype = promoteValues(a, b)
  const differ = (a.shape.length === 0) !== (b.shape.length === 0)
  return { dtype, operands: differ ? [convert(a, dtype), convert(b, dtype)] : [a, b] }
}

/** Operations on pairs of elements whose result is bool. */
const comparisons: ReadonlySet<string> = new Set(['eq', 'ne', 'lt', 'le', 'gt', 'ge', 'and', 'or', 'isclose'])

export function pair(operation: string, a: Value, b: Value, options: readonly NativeOption[] = []): Value {
  const shape = broadcastTogether('other', a.shape, b.shape)
  if (comparisons.has(operation)) {
    // int64 holds the number, and compares exactly.
    const { operands } = promoteOperands(exceeded(b, a.dtype) ? convert(a, 'int64') : a, b)
    return apply(operation, operands, options, { shape, dtype: 'bool' })
  }
  const { dtype, operands } = promoteOperands(a, b)
  if (operation === 'div') return apply(operation, operands, options, { shape, dtype: fractional(dtype) })
  requireWithin('other', b, dtype)
  return apply(operation, operands, options, { shape, dtype })
}

/** The same where LibTorch does not convert by itself. */
export function promoteTogether(a: Value, b: Value): { dtype: DType; operands: [Value, Value] } {
  const dtype = promote(a.dtype, b.dtype)
  return { dtype, operands: [convert(a, dtype), convert(b, dtype)] }
}

/** A computation as the addon takes it: its tensors, and its steps, each after those that it reads. */
export interface Program {
  tensors: NativeTensor[]
  steps: NativeStep[]
  /** Where it runs: its tensors' device other than the CPU, if there is one. */
  device: string
}

export function compile(result: Value): Program {
  const tensors: NativeTensor[] = []
  const order: Value[] = []
  const devices = new Set<string>()
  const places = new Map<Value, number>()
  // Not recursive: a loop may have chained thousands of operations.
  const stack: Value[] = [result]
  const seen = new Set<Value>()
  while (stack.length > 0) {
    const value = stack.at(-1) as Value
    const inputs = 'inputs' in value.source ? value.source.inputs : []
    const missing = inputs.filter((input) => !seen.has(input))
    if (missing.length > 0) {
      stack.push(...missing)
      continue
    }
    stack.pop()
    if (seen.has(value)) continue
    seen.add(value)
    if (value.device) devices.add(value.device)
    if ('tensor' in value.source) places.set(value, tensors.push(value.source.tensor()) - 1)
    else order.push(value)
  }
  for (const [i, value] of order.entries()) places.set(value, tensors.length + i)
  const steps = order.map(({ source }): NativeStep => {
    if ('number' in source) return { operation: 'number', inputs: [], options: [exact(source.number)] }
    const { operation, inputs, options } = source as Extract<Source, { operation: string }>
    return { operation, inputs: inputs.map((input) => places.get(input) as number), options }
  })
  return { tensors, steps, device: [...devices].find((device) => device !== 'cpu') ?? 'cpu' }
}
