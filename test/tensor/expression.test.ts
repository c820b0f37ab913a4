import { inspect } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import {
  concatenate,
  type DType,
  type Expression,
  memory,
  scope,
  stack,
  type Tensor,
  type TypedArrays,
  tensor
} from '../../lib/index.js'
import { device } from '../support/native.js'
import { testWhere } from '../support/paths.js'

// biome-ignore lint/suspicious/noExplicitAny: wrong arguments are the subject
type Anything = any

const floats = (values: number[], shape: number[] = [values.length]) =>
  tensor(Float32Array.from(values), shape, { device })
const range = (shape: number[]) => {
  const size = shape.reduce((product, length) => product * length, 1)
  return floats(
    Array.from({ length: size }, (_, i) => i),
    shape
  )
}

describe('every dtype keeps its elements', () => {
  const extremes: { [D in DType]: TypedArrays[D] } = {
    float32: Float32Array.of(Number.NaN, Infinity, -Infinity, -0, 3.4028234663852886e38, 1.401298464324817e-45),
    float64: Float64Array.of(Number.NaN, Infinity, -Infinity, -0, Number.MAX_VALUE, Number.MIN_VALUE),
    // NaN, both infinities, -0, the largest and the smallest positive number, by their bits.
    float16: Uint16Array.of(0x7e00, 0x7c00, 0xfc00, 0x8000, 0x7bff, 0x0001),
    bfloat16: Uint16Array.of(0x7fc0, 0x7f80, 0xff80, 0x8000, 0x7f7f, 0x0001),
    int64: BigInt64Array.of(2n ** 63n - 1n, -(2n ** 63n), 0n, -1n, 2n ** 53n + 1n, 1n),
    int32: Int32Array.of(2 ** 31 - 1, -(2 ** 31), 0, -1, 1, 2),
    int16: Int16Array.of(2 ** 15 - 1, -(2 ** 15), 0, -1, 1, 2),
    int8: Int8Array.of(127, -128, 0, -1, 1, 2),
    uint8: Uint8Array.of(255, 0, 1, 2, 3, 4),
    bool: Uint8Array.of(1, 0, 1, 1, 0, 0)
  }

  test.each(Object.keys(extremes) as DType[])('%s', async (dtype) => {
    const data = extremes[dtype]
    using t = tensor(data, [2, 3], { dtype, device }) as Tensor
    const copy = await t.data()
    expect(copy.constructor).toBe(data.constructor)
    expect(new Uint8Array(copy.buffer)).toEqual(new Uint8Array(data.buffer))
    // Through an operation and back.
    const back = await t.permute([1, 0]).transpose().data()
    expect(new Uint8Array(back.buffer)).toEqual(new Uint8Array(data.buffer))
  })

  test('16-bit floats as numbers', async () => {
    const expected = { float16: [65504, 2 ** -24], bfloat16: [3.3895313892515355e38, 2 ** -133] }
    for (const dtype of ['float16', 'bfloat16'] as const) {
      using t = tensor(extremes[dtype], [6], { dtype, device })
      expect([...(await t.toFloat32())]).toEqual([Number.NaN, Infinity, -Infinity, -0, ...expected[dtype]])
      expect([...(await t.isFinite().data())]).toEqual([0, 0, 0, 1, 1, 1])
    }
  })
})

// Numbers of living tensors are bounds: the garbage collector may free those of earlier tests meanwhile.
describe('an expression', () => {
  test('knows dtype, shape and device before it runs, in its type, too', async () => {
    using a = range([2, 3])
    const sum: { dtype: 'float32' } = a.add(tensor(Int32Array.of(1, 2, 3), [3], { device }))
    const counts: { dtype: 'int64' } = a.gt(2).sum(0)
    const halves: { dtype: 'bfloat16' } = a.to({ dtype: 'bfloat16' }).mul(2)
    expect([sum.dtype, counts.dtype, halves.dtype]).toEqual(['float32', 'int64', 'bfloat16'])
    const matrix = a.matmul(a.transpose()).sum([0, 1], { keepdim: true })
    expect([matrix.dtype, matrix.shape, matrix.size, matrix.device]).toEqual(['float32', [1, 1], 1, a.device])
  })

  test('runs when it is awaited, once, and gives a new tensor', async () => {
    await scope(async () => {
      const a = range([4])
      const before = memory().tensors
      const expression = a.sub(a.mean()).div(a.std())
      expect(memory().tensors).toBeLessThanOrEqual(before)
      const [first, second] = await Promise.all([expression, expression])
      expect(first).toBe(second)
      expect(memory().tensors).toBeLessThanOrEqual(before + 1)
      expect((await first.mul(first).sum().item()).toFixed(4)).toBe('3.0000')
    })
  })

  test('reads elements without a tensor', async () => {
    await scope(async () => {
      const a = range([2, 2])
      const before = memory().tensors
      expect([...(await a.mul(2).data())]).toEqual([0, 2, 4, 6])
      expect([...(await a.gt(1).toFloat32())]).toEqual([0, 0, 1, 1])
      expect(await a.max().item()).toBe(3)
      expect(await a.argmax().item()).toBe(3n)
      expect(await a.lt(9).all().item()).toBe(true)
      expect(await a.to({ dtype: 'float16' }).mean().item()).toBe(1.5)
      expect(memory().tensors).toBeLessThanOrEqual(before)
    })
  })

  test('belongs to the scope in which it is awaited', async () => {
    const made: Tensor[] = []
    const kept = await scope(async () => {
      const a = range([3])
      made.push(await a.add(1))
      return await a.mul(2)
    })
    expect(made.map((t) => t.disposed)).toEqual([true])
    using result = kept
    expect([...(await result.data())]).toEqual([0, 2, 4])
  })

  test('copies elements as float32 of a tensor that is disposed after the call', async () => {
    const t = await tensor(new Float32Array([1, 2.5]), [2]).to({ dtype: 'float16' })
    const copied = t.toFloat32()
    t.dispose()
    expect(await copied).toEqual(new Float32Array([1, 2.5]))
  })

  test('outlives its operands once it runs, and fails with those that are disposed before', async () => {
    const a = range([3])
    const running = a.add(1).then((t) => t.data())
    const late = a.add(1)
    a.dispose()
    expect([...(await running)]).toEqual([1, 2, 3])
    await expect(late).rejects.toMatchObject({ code: 'ERR_DISPOSED' })
    expect(() => a.add(1)).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }))
  })

  test('may consist of thousands of operations', async () => {
    using a = range([2])
    let sum: Tensor<'float32'> | ReturnType<typeof a.add<number>> = a
    for (let i = 0; i < 20_000; i++) sum = sum.add(1)
    expect([...(await sum.data())]).toEqual([20_000, 20_001])
  })

  test('a tensor of numbers keeps integers exact beside bigints', async () => {
    using t = tensor(BigInt64Array.of(2n ** 53n), [1], { device })
    expect([...(await t.add(1n).data())]).toEqual([2n ** 53n + 1n])
  })

  test('compares whole numbers exactly, also those that its dtype does not hold', async () => {
    using bytes = tensor(Uint8Array.of(0, 100, 255), [3], { device })
    const read = async (result: Expression<'bool'>) => [...(await result.data())]
    expect(await read(bytes.lt(256))).toEqual([1, 1, 1])
    expect(await read(bytes.gt(-1))).toEqual([1, 1, 1])
    expect(await read(bytes.eq(256))).toEqual([0, 0, 0])
    expect(await read(bytes.and(256))).toEqual([0, 1, 1])
    expect(await read(bytes.at(0).le(256n))).toEqual([1])
    using wide = tensor(BigInt64Array.of(2n ** 60n, 2n ** 60n + 1n), [2], { device })
    expect(await read(wide.eq(2 ** 60))).toEqual([1, 0])
    expect(await read(wide.lt(2 ** 80))).toEqual([1, 1])
  })

  test('computes with whole numbers beyond 2^53, and divides by numbers that its dtype does not hold', async () => {
    using wide = tensor(BigInt64Array.of(1n), [1], { device })
    expect([...(await wide.add(2 ** 60).data())]).toEqual([2n ** 60n + 1n])
    expect([...(await wide.clamp(2 ** 60).data())]).toEqual([2n ** 60n])
    using bytes = tensor(Uint8Array.of(64), [1], { device })
    expect([...(await bytes.div(256).data())]).toEqual([0.25])
    expect([...(await bytes.clamp(0.5, 300).data())]).toEqual([64])
  })

  test('keeps a shape that its caller changes afterwards', async () => {
    using a = floats([1, 2], [1, 2])
    const shape = [3, 2]
    const expanded = a.expand(shape)
    shape[0] = 5
    expect([...(await expanded.data())]).toEqual([1, 2, 1, 2, 1, 2])
  })

  test("passes LibTorch's own refusals on", async () => {
    using t = tensor(Int32Array.of(1, 2), [2], { device })
    await expect(t.pow(-1)).rejects.toMatchObject({ name: 'MactokError', code: 'ERR_LIBTORCH' })
  })
})

describe('allClose', () => {
  test('compares by both tolerances', async () => {
    using a = floats([1, 100, Number.NaN])
    const finite = a.at([0, 2])
    expect(await finite.allClose(floats([1 + 5e-6, 100.0005]))).toBe(true)
    expect(await finite.allClose(floats([1, 100.01]))).toBe(false)
    expect(await finite.allClose(floats([1, 100.01]), { rtol: 1e-3 })).toBe(true)
    expect(await finite.allClose(tensor(Int32Array.of(1, 100), [2], { device }))).toBe(true)
    expect(await a.allClose(a)).toBe(false)
    expect(await a.allClose(a, { equalNan: true })).toBe(true)
  })
})

describe('wrong arguments', () => {
  const a = () => range([2, 3])
  const whole = () => tensor(Int32Array.of(1, 2), [2], { device })
  const bytes = () => tensor(Uint8Array.of(1, 200), [2], { device })
  test.each<[string, () => unknown, typeof Error, string]>([
    ['no operand', () => a().add('1' as Anything), TypeError, "a tensor or a number for other but received '1'"],
    [
      'a shape that does not broadcast',
      () => a().mul(floats([1, 2])),
      RangeError,
      "a shape that broadcasts with [2, 3] for other but received '[2]'"
    ],
    ['an index too many', () => a().at(0, 0, 0), RangeError, 'at most 2 for [2, 3] for indices'],
    ['an index past the end', () => a().at(2), RangeError, 'an integer from -2 to 1 for indices[0] but received 2'],
    ['an index that is no number', () => a().at('0' as Anything), TypeError, 'an integer, [start, end, step] or null'],
    ['a range past the end', () => a().at([0, 3]), RangeError, 'an integer from -2 to 2 for end of indices[0]'],
    ['a range backwards', () => a().at(null, [2, 1]), RangeError, '2 to 3 for end of indices[1] but received 1'],
    ['a step of 0', () => a().at([0, 2, 0]), RangeError, 'for step of indices[0] but received 0'],
    ['a dimension', () => a().sum(2), RangeError, 'an integer from -2 to 1 for dims but received 2'],
    ['a dimension twice', () => a().mean([0, -2]), RangeError, 'different dimensions for dims'],
    ['no dimension', () => a().sum([]), RangeError, 'at least one dimension for dims'],
    ['a misspelt option', () => a().sum(0, { keepdims: true } as Anything), TypeError, 'did you mean keepdim?'],
    ['a mean of integers', () => whole().mean(), TypeError, "(see `to`) for mean but received 'int32 [2] on "],
    ['a softmax of integers', () => whole().softmax(0), TypeError, 'for softmax'],
    ['a difference of booleans', () => a().gt(1).sub(a().gt(1)), TypeError, 'a tensor of numbers (see `to`) for sub'],
    ['a boolean to subtract', () => whole().sub(a().at(0, [0, 2]).gt(1)), TypeError, '(see `to`) for other but'],
    ['a power of booleans', () => a().gt(1).pow(a().gt(1)), TypeError, 'a tensor of numbers (see `to`) for other'],
    [
      'a number that no byte is',
      () => bytes().add(256),
      RangeError,
      'Expected an integer from 0 to 255, which uint8 holds (see `to`), for other but received 256'
    ],
    ['the smaller of a byte and a number that none is', () => bytes().minimum(-1), RangeError, 'for other but'],
    ['a bound that no byte is', () => bytes().clamp(-1, 150), RangeError, '(see `to`), for min but received -1'],
    ['an upper bound that no byte is', () => bytes().clamp(0, 300), RangeError, '(see `to`), for max but received 300'],
    [
      'a choice that no byte is',
      () => bytes().gt(0).where(bytes(), 256),
      RangeError,
      'which uint8 holds (see `to`), for otherwise'
    ],
    [
      'an integer of more than 64 bits',
      () => a().add(2n ** 63n),
      RangeError,
      'to 9223372036854775807, which int64 holds (see `to`), for other but received 9223372036854775808n'
    ],
    ['the largest of nothing', () => floats([]).max(), RangeError, 'dimensions with elements for dims'],
    ['half an order', () => a().permute([0]), RangeError, 'all 2 dimensions of [2, 3] for order'],
    ['a size', () => a().reshape([4]), RangeError, 'a product of 6, the number of elements for shape'],
    ['a dimension to squeeze', () => a().squeeze(0), RangeError, 'dimensions of length 1 of [2, 3] for dims'],
    ['a smaller shape', () => a().expand([1, 3]), RangeError, 'a shape that [2, 3] broadcasts to for shape'],
    ['matrices', () => a().matmul(a()), RangeError, '[…, 3, n], its leading dimensions as those of [2, 3] for other'],
    ['no matrix', () => a().matmul(2 as Anything), TypeError, 'a tensor for other but received 2'],
    ['a size to resize to', () => range([1, 1, 2, 2]).interpolate([0, 2]), RangeError, 'for size[0] but received 0'],
    ['no images', () => a().interpolate([2, 2]), RangeError, 'a tensor [B, C, H, W] for interpolate'],
    [
      'a mode',
      () => range([1, 1, 2, 2]).interpolate([2, 2], { mode: 'area' as Anything }),
      RangeError,
      'bicubic for mode'
    ],
    ['no bound', () => a().clamp(null), TypeError, 'a number for min or max'],
    ['a condition of numbers', () => a().where(1, 0), TypeError, 'a tensor of bool for where'],
    [
      'a part of another dtype',
      () => concatenate([whole(), a() as Anything]),
      TypeError,
      'a tensor of int32 for tensors[1]'
    ],
    ['a part of another shape', () => concatenate([a(), range([2, 2])]), RangeError, '[2, 3] except in dimension 0'],
    ['stacked shapes', () => stack([a(), range([2, 2])]), RangeError, "[2, 3] for tensors[1] but received '[2, 2]'"]
  ])('refuses %s', (_, call, type, message) => {
    expect(call).toThrow(type)
    expect(call).toThrow(message)
  })

  test('refuses an item of several', async () => {
    await expect(a().item()).rejects.toThrow(/a tensor of one element for item but received 'float32 \[2, 3\] on/)
  })

  // Another device is needed: npm run test:device has two.
  testWhere(device !== 'cpu', 'operands of two devices need another one than the CPU')(
    'refuses operands of two devices',
    () => {
      const other = tensor(Float32Array.of(1), [1])
      expect(() => a().add(other)).toThrow(
        /a tensor on cuda:\d as the others for device but received 'float32 \[1\] on cpu'/
      )
    }
  )
})

describe('util.inspect', () => {
  const onCpu = (data: TypedArrays[DType], shape?: number[]) => tensor(data, shape) as Tensor
  test.each<[string, () => unknown, string]>([
    ['numbers', () => onCpu(Float32Array.of(1, 2.5, -3, Number.NaN)), 'Tensor float32 [4] cpu\n[  1, 2.5,  -3, NaN]'],
    [
      'rows',
      () => onCpu(Float64Array.of(0, 1 / 3, 1e-7, -0, Infinity, 12345.67812), [2, 3]),
      'Tensor float64 [2, 3] cpu\n[[         0,     0.3333,       1e-7],\n [        -0,   Infinity, 12345.6781]]'
    ],
    ['large integers', () => onCpu(Int32Array.of(2 ** 31 - 1)), 'Tensor int32 [1] cpu\n[2147483647]'],
    ['64-bit integers', () => onCpu(BigInt64Array.of(2n ** 53n + 1n)), 'Tensor int64 [1] cpu\n[9007199254740993]'],
    ['booleans', () => tensor(Uint8Array.of(1, 0), [2], { dtype: 'bool' }), 'Tensor bool [2] cpu\n[ true, false]'],
    [
      '16-bit floats as numbers',
      () => tensor(Uint16Array.of(0x3fc0, 0xc000), [2], { dtype: 'bfloat16' }),
      'Tensor bfloat16 [2] cpu\n[1.5,  -2]'
    ],
    [
      'the ends of many',
      () =>
        onCpu(
          Int32Array.from({ length: 64 }, (_, i) => i),
          [8, 8]
        ),
      `Tensor int32 [8, 8] cpu
[[ 0,  1,  2, …,  5,  6,  7],
 [ 8,  9, 10, …, 13, 14, 15],
 [16, 17, 18, …, 21, 22, 23],
 …,
 [40, 41, 42, …, 45, 46, 47],
 [48, 49, 50, …, 53, 54, 55],
 [56, 57, 58, …, 61, 62, 63]]`
    ],
    ['one number', () => onCpu(Float32Array.of(7), []), 'Tensor float32 [] cpu\n7'],
    ['nothing', () => onCpu(new Float32Array(0), [0, 3]), 'Tensor float32 [0, 3] cpu'],
    ['an expression', () => onCpu(new Float32Array(2)).add(1), 'Expression float32 [2] cpu'],
    [
      'a field',
      () => ({ latents: onCpu(Uint8Array.of(1, 2, 3, 4), [2, 2]) }),
      '{\n  latents: Tensor uint8 [2, 2] cpu\n  [[1, 2],\n   [3, 4]]\n}'
    ],
    ['a deep field', () => ({ a: { b: { c: { d: onCpu(new Uint8Array(1)) } } } }), '{ a: { b: { c: [Object] } } }']
  ])('prints %s', (_, make, expected) => {
    expect(inspect(make())).toBe(expected)
  })

  test('says that a tensor is disposed', () => {
    const t = range([2])
    t.dispose()
    expect(inspect(t)).toBe('Tensor (disposed)')
  })

  testWhere(device !== 'cpu', 'waiting for no other device needs one')('waits for no other device', () => {
    expect(inspect(range([2]))).toBe(`Tensor float32 [2] ${device.includes(':') ? device : `${device}:0`}`)
  })
})
