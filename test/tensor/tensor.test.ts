import { describe, expect, test } from '@jest/globals'
import { expectTypeOf } from 'expect-type'
import { scope } from '../../lib/tensor/scope.js'
import { concatenate, memory, type Tensor, tensor } from '../../lib/tensor/tensor.js'
import { device } from '../support/native.js'

// biome-ignore lint/suspicious/noExplicitAny: wrong arguments are the subject
type Anything = any

const numbers = (...values: number[]) => tensor(Float32Array.from(values), [values.length], { device })

describe('a tensor', () => {
  test('has the dtype of its array, a shape and a device', async () => {
    using t = tensor(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3], { device })
    expect([t.dtype, t.shape, t.size, t.device]).toEqual(['float32', [2, 3], 6, expect.stringContaining(device)])
    expect(Array.from(await t.data())).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('has one dimension without a shape', () => {
    expect(tensor(Uint8Array.of(1, 2, 3)).shape).toEqual([3])
  })

  test('keeps 64-bit integers and 16-bit floats exactly', async () => {
    expect(Array.from(await tensor(BigInt64Array.of(2n ** 53n + 1n, -1n), [2], { device }).data())).toEqual([
      2n ** 53n + 1n,
      -1n
    ])
    using half = tensor(Uint16Array.of(0x3fc0, 0xc000), [2], { dtype: 'bfloat16', device })
    expect(Array.from(await half.data())).toEqual([0x3fc0, 0xc000])
    expect(Array.from(await half.toFloat32())).toEqual([1.5, -2])
  })

  test('of bool is true for every byte but 0', async () => {
    using t = tensor(Uint8Array.of(0, 1, 2, 255), [4], { dtype: 'bool', device })
    using ones = tensor(Uint8Array.of(0, 1, 1, 1), [4], { dtype: 'bool', device })
    expect([...(await t.data())]).toEqual([0, 1, 1, 1])
    expect(await t.eq(ones).all().item()).toBe(true)
    expect(await t.sum().item()).toBe(3n)
    expect(await t.at(2).item()).toBe(true)
  })

  test('copies its array, which may change afterwards', async () => {
    const data = Float32Array.of(1, 2)
    using t = tensor(data, [2], { device })
    data.fill(9)
    expect(Array.from(await t.data())).toEqual([1, 2])
  })

  test('shares its elements with slices and reshapes, which outlive it', async () => {
    const t = tensor(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2], { device })
    const [rows, flat] = [t.slice(1, 3), t.reshape([6])]
    t.dispose()
    expect(Array.from(await rows.data())).toEqual([3, 4, 5, 6])
    expect(flat.shape).toEqual([6])
    expect(Array.from(await flat.data())).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('is concatenated along the first dimension', async () => {
    using joined = await concatenate([numbers(1, 2), numbers(3)])
    expect(Array.from(await joined.data())).toEqual([1, 2, 3])
  })

  test('is disposed by dispose(), any number of times, and by using', async () => {
    const t = numbers(1)
    t.dispose()
    t.dispose()
    expect(t.disposed).toBe(true)
    for (const access of [() => t.shape, () => t.dtype, () => t.slice(0, 1), () => t.reshape([1])]) {
      expect(access).toThrow(expect.objectContaining({ name: 'MactokError', code: 'ERR_DISPOSED' }))
    }
    await expect(t.data()).rejects.toMatchObject({ code: 'ERR_DISPOSED' })
    let kept: Tensor
    {
      using inner = numbers(1)
      kept = inner
    }
    expect(kept.disposed).toBe(true)
  })

  test.each<[string, () => unknown, typeof Error, RegExp]>([
    ['no array', () => tensor([1, 2] as Anything), TypeError, /a typed array for data but received \[ 1, 2 \]/],
    ['nothing', () => (tensor as Anything)(), TypeError, /a typed array for data/],
    ['a DataView', () => tensor(new DataView(new ArrayBuffer(2)) as Anything), TypeError, /a typed array for data/],
    ['16 bits without a dtype', () => tensor(new Uint16Array(2)), TypeError, /float16 or bfloat16/],
    [
      'an array of no dtype',
      () => tensor(new Uint32Array(2) as Anything),
      TypeError,
      /one of Float32Array, .*, Uint8Array for data but received 'Uint32Array'/
    ],
    [
      'an unknown dtype',
      () => tensor(new Float32Array(2), [2], { dtype: 'float8' as Anything }),
      TypeError,
      /one of float32, .* for dtype/
    ],
    [
      'an array of another dtype',
      () => tensor(new Float32Array(2), [2], { dtype: 'int64' as Anything }),
      TypeError,
      /a BigInt64Array \(dtype int64\) for data/
    ],
    [
      'a shape of another size',
      () => tensor(new Float32Array(2), [3]),
      RangeError,
      /a product of 2, the number of elements for shape/
    ],
    ['a negative shape', () => tensor(new Float32Array(2), [-1, -2]), TypeError, /non-negative integers for shape/],
    ['a shape that is not an array', () => tensor(new Float32Array(2), 2 as Anything), TypeError, /shape/],
    [
      'a device that is not a name',
      () => tensor(new Float32Array(2), [2], { device: 0 as Anything }),
      TypeError,
      /device/
    ],
    [
      'an unknown device',
      () => tensor(new Float32Array(2), [2], { device: 'npu' }),
      TypeError,
      /cpu, cuda, cuda:<index> or mps for device but received/
    ],
    ['a slice from before the start', () => numbers(1, 2).slice(-1, 1), RangeError, /0 to 2 for start but received -1/],
    [
      'a slice that ends before it starts',
      () => numbers(1, 2).slice(1, 0),
      RangeError,
      /1 to 2 for end but received 0/
    ],
    ['a slice of no dimension', () => tensor(new Float32Array(1), []).slice(0, 1), RangeError, /slice/],
    ['another size on reshape', () => numbers(1, 2).reshape([3]), RangeError, /shape/],
    ['to, with an unknown dtype', () => numbers(1).to({ dtype: 'int4' as Anything }), TypeError, /dtype/],
    ['to, with a device that is not a name', () => numbers(1).to({ device: 1 as Anything }), TypeError, /device/],
    ['nothing to join', () => concatenate([]), TypeError, /a non-empty array of tensors for tensors/]
  ])('refuses %s', (_, call, type, message) => {
    expect(call).toThrow(type)
    expect(call).toThrow(message)
  })

  test('rejects an unknown device', async () => {
    await expect(numbers(1).to({ device: 'npu' })).rejects.toThrow(
      /cpu, cuda, cuda:<index> or mps for device but received npu/
    )
    await expect(numbers(1).to({ device: 'npu' })).rejects.toBeInstanceOf(TypeError)
  })
})

describe('scope', () => {
  test('disposes tensors created in it, except its result', () => {
    const made: Tensor[] = []
    const kept = scope(() => {
      made.push(numbers(1), numbers(2))
      return { result: numbers(3), list: [numbers(4)] }
    })
    expect(made.map((t) => t.disposed)).toEqual([true, true])
    expect(kept.result.disposed).toBe(false)
  })

  test('works asynchronously, nests, and disposes when its body throws', async () => {
    const made: Tensor[] = []
    const outer = await scope(async () => {
      const inner = await scope(async () => {
        made.push(numbers(1))
        await Promise.resolve()
        return numbers(2)
      })
      made.push(inner)
      return numbers(3)
    })
    expect(made.map((t) => t.disposed)).toEqual([true, true])
    expect(outer.disposed).toBe(false)
    await expect(
      scope(async () => {
        made.push(numbers(4))
        await Promise.resolve()
        throw new Error('stop')
      })
    ).rejects.toThrow('stop')
    expect(made.at(-1)?.disposed).toBe(true)
  })

  test('gives a promise of what an expression computes, as its type says', async () => {
    using a = numbers(1, 2)
    const doubled = scope(() => a.mul(2))
    expectTypeOf(doubled).toEqualTypeOf<Promise<Tensor<'float32'>>>()
    expectTypeOf(scope(() => numbers(1))).toEqualTypeOf<Tensor<'float32'>>()
    expectTypeOf(scope(async () => 'done')).toEqualTypeOf<Promise<string>>()
    using result = await doubled
    expect([...(await result.data())]).toEqual([2, 4])
  })

  test('disposes what its body made after any thenable has settled', async () => {
    const made: Tensor[] = []
    const settled = scope(() => {
      made.push(numbers(1))
      // biome-ignore lint/suspicious/noThenProperty: a thenable whose `then` returns nothing is the subject
      return { then: (done: (value: number) => void) => void done(7) } as unknown as PromiseLike<number>
    })
    expect(await settled).toBe(7)
    expect(made.map((t) => t.disposed)).toEqual([true])
  })

  test("leaves other callers' tensors alone", async () => {
    const own = numbers(1)
    await Promise.all([scope(async () => void numbers(2)), Promise.resolve()])
    expect(own.disposed).toBe(false)
  })
})

test('memory() returns to where it was', () => {
  const before = memory()
  scope(() => {
    for (let i = 0; i < 10; i++) numbers(1, 2, 3)
    expect(memory().tensors).toBe(before.tensors + 10)
    expect(memory().bytes).toBe(before.bytes + 120)
  })
  expect(memory()).toEqual(before)
})
