import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { concatenate, scope, stack, type Tensor, tensor } from '../../lib/index.js'
import { broadcast } from '../../lib/tensor/shapes.js'
import { device } from '../support/native.js'

/** Each run waits for the engine a few times. */
const runs = { numRuns: 60 }
const side = fc.integer({ min: 1, max: 4 })
const lengths = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 4 })
const count = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1)
/** Small integers, whose sums are exact in any order. */
const numbers = (shape: readonly number[]) =>
  fc.array(fc.integer({ min: -9, max: 9 }), { minLength: count(shape), maxLength: count(shape) })
const arrays = lengths.chain((shape) => fc.record({ shape: fc.constant(shape), values: numbers(shape) }))
const make = ({ shape, values }: { shape: readonly number[]; values: number[] }) =>
  tensor(Float32Array.from(values), shape, { device })
/** Without the sign of zeros. */
const read = async (t: Pick<Tensor<'float32'>, 'data' | 'shape'>) => ({
  shape: t.shape,
  values: Array.from(await t.data(), (value) => value + 0)
})

/** Checks an asynchronous property, and disposes what each run creates. */
const holds = <T>(given: fc.Arbitrary<T>, body: (value: T) => Promise<void>) =>
  fc.assert(
    fc.asyncProperty(given, (value) => scope(() => body(value))),
    runs
  )

/** Every index of a shape, in row-major order. */
function* indices(shape: readonly number[]): Generator<number[]> {
  const [length, ...rest] = shape
  if (length === undefined) yield []
  else for (let i = 0; i < length; i++) for (const others of indices(rest)) yield [i, ...others]
}

const place = (shape: readonly number[], index: readonly number[]) =>
  shape.reduce((at, length, dim) => at * length + (index[dim] as number), 0)

describe('properties', () => {
  test('slices of a concatenation are its parts', () =>
    holds(
      arrays.chain(({ shape, values }) =>
        fc.record({
          dim: fc.integer({ min: 0, max: shape.length - 1 }),
          parts: fc.array(fc.constant({ shape, values }), { minLength: 1, maxLength: 3 })
        })
      ),
      async ({ dim, parts }) => {
        const tensors = parts.map(make)
        const joined = await concatenate(tensors, dim)
        let start = 0
        for (const [i, part] of parts.entries()) {
          const end = start + (part.shape[dim] as number)
          const whole = Array.from({ length: dim }, () => null)
          expect(await read(joined.at(...whole, [start, end]))).toEqual(part)
          expect(await read(stack(tensors, dim).at(...whole, i))).toEqual(part)
          start = end
        }
      }
    ))

  test('a permutation and its inverse are the identity', () =>
    holds(
      arrays.chain((array) =>
        fc.record({
          array: fc.constant(array),
          order: fc.shuffledSubarray([...array.shape.keys()], { minLength: array.shape.length })
        })
      ),
      async ({ array, order }) => {
        const inverse = order.map((_, dim) => order.indexOf(dim))
        const permuted = make(array).permute(order)
        expect(permuted.shape).toEqual(order.map((dim) => array.shape[dim]))
        expect(await read(permuted.permute(inverse))).toEqual(array)
      }
    ))

  test('squeeze undoes unsqueeze, and flip itself', () =>
    holds(
      arrays.chain((array) =>
        fc.record({ array: fc.constant(array), dim: fc.integer({ min: 0, max: array.shape.length }) })
      ),
      async ({ array, dim }) => {
        expect(await read(make(array).unsqueeze(dim).squeeze(dim))).toEqual(array)
        const dims = [...array.shape.keys()].slice(0, dim)
        expect(await read(make(array).flip(dims).flip(dims))).toEqual(array)
      }
    ))

  test('operands broadcast', () =>
    holds(
      lengths.chain((shape) => {
        const partner = fc
          .tuple(...shape.map((length) => fc.constantFrom(1, length)))
          .chain((full) => fc.integer({ min: 0, max: full.length }).map((start) => full.slice(start)))
        return partner.chain((other) =>
          fc.record({
            a: fc.record({ shape: fc.constant(shape), values: numbers(shape) }),
            b: fc.record({ shape: fc.constant(other), values: numbers(other) })
          })
        )
      }),
      async ({ a, b }) => {
        expect(broadcast(a.shape, b.shape)).toEqual(a.shape)
        const padded = [...Array(a.shape.length - b.shape.length).fill(1), ...b.shape]
        const expected = [...indices(a.shape)].map((index, i) => {
          const other = index.map((k, dim) => (padded[dim] === 1 ? 0 : k))
          return (a.values[i] as number) - (b.values[place(padded, other)] as number)
        })
        expect(await read(make(a).sub(make(b)))).toEqual({ shape: a.shape, values: expected })
        expect(await read(make(b).neg().add(make(a)))).toEqual({ shape: a.shape, values: expected })
      }
    ))

  test('reductions agree with plain loops', () =>
    holds(
      arrays.chain((array) =>
        fc.record({
          array: fc.constant(array),
          dims: fc.subarray([...array.shape.keys()], { minLength: 1 }),
          keepdim: fc.boolean()
        })
      ),
      async ({ array: { shape, values }, dims, keepdim }) => {
        const kept = shape.map((length, dim) => (dims.includes(dim) ? 1 : length))
        const groups = Array.from({ length: count(kept) }, (): number[] => [])
        for (const [i, index] of [...indices(shape)].entries()) {
          const group = index.map((k, dim) => (dims.includes(dim) ? 0 : k))
          groups[place(kept, group)]?.push(values[i] as number)
        }
        const expected = keepdim ? kept : shape.filter((_, dim) => !dims.includes(dim))
        const t = make({ shape, values })
        const sums = groups.map((group) => group.reduce((sum, value) => sum + value, 0))
        expect(await read(t.sum(dims, { keepdim }))).toEqual({ shape: expected, values: sums })
        if (dims.some((dim) => shape[dim] === 0)) return
        expect((await read(t.max(dims, { keepdim }))).values).toEqual(groups.map((group) => Math.max(...group)))
        expect((await read(t.min(dims, { keepdim }))).values).toEqual(groups.map((group) => Math.min(...group)))
        const means = (await read(t.mean(dims, { keepdim }))).values
        for (const [i, mean] of means.entries()) {
          expect(mean).toBeCloseTo((sums[i] as number) / (groups[i]?.length as number), 5)
        }
      }
    ))

  test('ranges agree with a loop by their step', () =>
    holds(
      fc.integer({ min: 1, max: 9 }).chain((length) =>
        fc.record({
          length: fc.constant(length),
          start: fc.integer({ min: -length, max: length }),
          end: fc.integer({ min: -length, max: length }),
          step: fc.integer({ min: 1, max: 4 })
        })
      ),
      async ({ length, start, end, step }) => {
        const [first, last] = [start, end].map((value) => (value < 0 ? value + length : value)) as [number, number]
        const t = tensor(
          Int32Array.from({ length }, (_, i) => i),
          undefined,
          { device }
        )
        if (last < first) return expect(() => t.at([start, end, step])).toThrow(RangeError)
        const expected = Array.from({ length }, (_, i) => i).filter(
          (i) => i >= first && i < last && (i - first) % step === 0
        )
        expect([...(await t.at([start, end, step]).data())]).toEqual(expected)
      }
    ))

  test('a matrix product agrees with plain loops', () =>
    holds(
      fc.tuple(side, side, side, side).chain(([batch, n, k, m]) =>
        fc.record({
          a: fc.record({ shape: fc.constant([batch, n, k]), values: numbers([batch, n, k]) }),
          b: fc.record({ shape: fc.constant([k, m]), values: numbers([k, m]) })
        })
      ),
      async ({ a, b }) => {
        const [batch, n, k] = a.shape as [number, number, number]
        const shape = [batch, n, b.shape[1] as number]
        const expected = [...indices(shape)].map(([g, i, j]) => {
          let sum = 0
          for (let p = 0; p < k; p++) {
            const left = a.values[place(a.shape, [g as number, i as number, p])] as number
            sum += left * (b.values[place(b.shape, [p, j as number])] as number)
          }
          return sum
        })
        expect(await read(make(a).matmul(make(b)))).toEqual({ shape, values: expected })
      }
    ))
})
