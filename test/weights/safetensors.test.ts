import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { asBytes, fromFloat32, toFloat32 } from '../../lib/weights/dtype.js'
import { parseHeader } from '../../lib/weights/header.js'
import { readSafetensors } from '../../lib/weights/reader.js'
import { type TensorData, writeSafetensors } from '../../lib/weights/writer.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'mactok-safetensors-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** A file of a header and as many zero bytes of data. */
async function fileOf(header: unknown, dataBytes: number, name = 'test.safetensors'): Promise<string> {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  const file = path.join(folder, name)
  await writeFile(file, Buffer.concat([length, json, Buffer.alloc(dataBytes)]))
  return file
}

const entry = (dtype: string, shape: number[], data_offsets: number[]) => ({ dtype, shape, data_offsets })
const float32 = (...values: number[]) => asBytes(Float32Array.from(values))

describe('writing', () => {
  const tensors: TensorData[] = [
    { name: 'b', dtype: 'int64', shape: [3], data: BigInt64Array.of(1n, 2n, 3n) },
    { name: 'a.x', dtype: 'float32', shape: [2, 3], data: float32(0, 0.25, 0.5, 0.75, 1, 1.25) },
    { name: 'h', dtype: 'float16', shape: [2], data: fromFloat32(Float32Array.of(1.5, -2), 'float16') },
    { name: 'bf', dtype: 'bfloat16', shape: [3], data: fromFloat32(Float32Array.of(1.5, -2, Math.PI), 'bfloat16') },
    { name: 'u', dtype: 'uint8', shape: [1], data: Uint8Array.of(255) },
    { name: 't', dtype: 'bool', shape: [2], data: Uint8Array.of(1, 0) },
    { name: 'i8', dtype: 'int8', shape: [1], data: Int8Array.of(-1) },
    { name: 'i16', dtype: 'int16', shape: [1], data: Int16Array.of(-300) },
    { name: 'i32', dtype: 'int32', shape: [], data: Int32Array.of(7) },
    { name: 'f64', dtype: 'float64', shape: [1, 1], data: Float64Array.of(0.1) },
    { name: 'empty', dtype: 'float32', shape: [0, 3], data: new Uint8Array() }
  ]

  test("gives the bytes that Python's safetensors gives", async () => {
    const file = path.join(folder, 'all.safetensors')
    await writeSafetensors(file, tensors, { format: 'pt' })
    // safetensors 0.8.0: safetensors.torch.save_file of the same eleven tensors with metadata {"format": "pt"}.
    const python = 'fff0b27eeae5bea05aaf9a5451ad49d8398dbb9991aae9e5bc0da7eb560b8c0d'
    const bytes = await readFile(file)
    expect(bytes.length).toBe(740)
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(python)
  })

  test('reads back what was written', async () => {
    const file = path.join(folder, 'back.safetensors')
    await writeSafetensors(file, tensors, { format: 'pt', note: 'ä' })
    await using read = await readSafetensors(file)
    expect(read.metadata).toEqual({ format: 'pt', note: 'ä' })
    expect(read.names().sort()).toEqual(tensors.map(({ name }) => name).sort())
    for (const { name, dtype, shape, data } of tensors) {
      expect(read.dtype(name)).toBe(dtype)
      expect(read.info(name).shape).toEqual(shape)
      expect(await read.bytes(name)).toEqual(asBytes(data as ArrayBufferView))
    }
    expect(Array.from(await read.float32('bf'))).toEqual([1.5, -2, 3.140625])
    expect(await read.rows('a.x', 1, 2)).toEqual(float32(0.75, 1, 1.25))
    expect(await read.rows('a.x', 2, 2)).toHaveLength(0)
  })

  test('accepts tensors in pieces, produced on demand', async () => {
    const file = path.join(folder, 'pieces.safetensors')
    const pieces = () => [float32(1), float32(2, 3)]
    await writeSafetensors(file, [
      { name: 'a', dtype: 'float32', shape: [3], data: pieces },
      { name: 'b', dtype: 'float32', shape: [1], data: async () => float32(4) }
    ])
    await using read = await readSafetensors(file)
    expect(Array.from(await read.float32('a'))).toEqual([1, 2, 3])
    expect(Array.from(await read.float32('b'))).toEqual([4])
  })

  test('leaves the earlier file, and nothing else, when it fails', async () => {
    const own = await mkdtemp(path.join(folder, 'atomic-'))
    const file = path.join(own, 'kept.safetensors')
    const tensor = { name: 'a', dtype: 'float32', shape: [2] } as const
    await writeSafetensors(file, [{ ...tensor, data: float32(1, 2) }])
    const before = await readFile(file)
    await expect(writeSafetensors(file, [{ ...tensor, data: float32(1) }])).rejects.toThrow(
      new RangeError('Expected 8 bytes for data of "a" but received \'4\' of type string')
    )
    const failing = async () => {
      throw new Error('no more data')
    }
    await expect(writeSafetensors(file, [{ ...tensor, data: failing }])).rejects.toThrow('no more data')
    expect(await readFile(file)).toEqual(before)
    expect(await readdir(own)).toEqual(['kept.safetensors'])
  })

  test.each([
    ['a repeated name', [{ name: 'a' }, { name: 'a' }], 'for name but received'],
    ['the name of the metadata', [{ name: '__metadata__' }], 'for name but received'],
    ['an unknown dtype', [{ name: 'a', dtype: 'float8' }], 'for dtype of "a"'],
    ['an impossible shape', [{ name: 'a', shape: [-1] }], 'for shape of "a"']
  ])('refuses %s', async (_, parts, message) => {
    const list = parts.map((part) => ({ dtype: 'uint8', shape: [0], data: new Uint8Array(), ...part }) as TensorData)
    await expect(writeSafetensors(path.join(folder, 'refused.safetensors'), list)).rejects.toThrow(message)
  })
})

describe('reading', () => {
  test('accepts data that are not aligned', async () => {
    const file = await fileOf({ u: entry('U8', [1], [0, 1]), f: entry('F32', [2], [1, 9]) }, 9)
    await using read = await readSafetensors(file)
    expect(Array.from(await read.float32('f'))).toEqual([0, 0])
  })

  test('lists types that MacTok does not support', async () => {
    await using read = await readSafetensors(await fileOf({ a: entry('F8_E4M3', [3], [0, 3]) }, 3))
    expect(read.info('a').format).toBe('F8_E4M3')
    expect(() => read.dtype('a')).toThrow('Tensor "a" of')
  })

  test('names the missing tensor or rows', async () => {
    await using read = await readSafetensors(await fileOf({ a: entry('U8', [2], [0, 2]) }, 2))
    expect(() => read.info('b')).toThrow(RangeError)
    await expect(read.rows('a', 1, 3)).rejects.toThrow('a range within the 2 rows of "a"')
  })

  test.each<[string, unknown, number, string]>([
    ['no JSON', '{"a":', 0, 'its header is not JSON'],
    ['an array', '[]', 0, 'its header is not a JSON object'],
    ['a tensor twice', '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":{}}', 0, 'has "a" twice'],
    ['a field twice', '{"a":{"dtype":"U8","dtype":"I8","shape":[0],"data_offsets":[0,0]}}', 0, 'has "dtype" twice'],
    ['metadata that are no strings', { __metadata__: { a: 1 } }, 0, '__metadata__ is not an object of strings'],
    ['metadata null', { __metadata__: null }, 0, '__metadata__ is not an object of strings'],
    ['an unknown dtype', { a: entry('F4', [2], [0, 1]) }, 1, 'tensor "a" has the unknown dtype "F4"'],
    ['a dtype from the prototype', { a: entry('toString', [2], [0, 1]) }, 1, 'unknown dtype "toString"'],
    ['a negative size', { a: entry('U8', [-1, -1], [0, 1]) }, 1, 'impossible shape [-1,-1]'],
    ['a fractional size', { a: entry('U8', [0.5, 2], [0, 1]) }, 1, 'impossible shape [0.5,2]'],
    ['offsets backwards', { a: entry('U8', [1], [1, 0]) }, 1, 'its data_offsets span -1'],
    ['a huge shape', { a: entry('F32', [2 ** 40, 2 ** 40], [0, 4]) }, 4, 'tensor "a" needs'],
    ['a shape that overflows to the right size', { a: entry('U8', [2 ** 32, 2 ** 32], [0, 0]) }, 0, 'tensor "a" needs'],
    ['too few bytes', { a: entry('F32', [2], [0, 8]) }, 7, 'its tensors end at byte'],
    ['too many bytes', { a: entry('F32', [2], [0, 8]) }, 9, 'its tensors end at byte'],
    ['an overlap', { a: entry('U8', [4], [0, 4]), b: entry('U8', [4], [2, 6]) }, 6, 'tensor "b" overlaps tensor "a"'],
    [
      'a gap',
      { a: entry('U8', [1], [0, 1]), b: entry('U8', [1], [2, 3]) },
      3,
      'tensor "b" leaves 1 unused bytes after tensor "a"'
    ],
    ['no object', { a: 3 }, 0, 'tensor "a" is described by 3']
  ])('refuses a header with %s', async (_, header, bytes, message) => {
    const file = await fileOf(header, bytes)
    await expect(readSafetensors(file)).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    await expect(readSafetensors(file)).rejects.toThrow(message)
    await expect(readSafetensors(file)).rejects.toThrow(file)
  })

  test.each<[string, Buffer, string]>([
    ['is empty', Buffer.alloc(0), 'it has 0 bytes, fewer than 8'],
    ['announces an endless header', Buffer.alloc(16, 255), 'more than 100000000'],
    [
      'announces more than it has',
      Buffer.from([9, 0, 0, 0, 0, 0, 0, 0, 123, 125]),
      'its header ends at byte 17, the file at 10'
    ],
    ['is not UTF-8', Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 123, 0xff, 125]), 'its header is not JSON']
  ])('refuses a file that %s', async (_, bytes, message) => {
    const file = path.join(folder, 'broken.safetensors')
    await writeFile(file, bytes)
    await expect(readSafetensors(file)).rejects.toThrow(message)
  })

  test('reports a file that is truncated while it is open', async () => {
    const file = await fileOf({ a: entry('U8', [100], [0, 100]) }, 100, 'cut.safetensors')
    await using read = await readSafetensors(file)
    await writeFile(file, 'short')
    await expect(read.bytes('a')).rejects.toThrow('it was truncated while open')
  })
})

describe('any header', () => {
  const valid =
    '{"__metadata__":{"a":"b"},"x":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"y":{"dtype":"U8","shape":[],"data_offsets":[24,25]}}'
  const parse = (json: Uint8Array) => parseHeader(json, 8 + json.byteLength + 25, 'fuzzed')
  const parsesOrRefuses = (json: Uint8Array) => {
    try {
      const { tensors } = parse(json)
      for (const { offset, byteLength } of tensors.values()) {
        expect(offset).toBeGreaterThanOrEqual(8 + json.byteLength)
        expect(offset + byteLength).toBeLessThanOrEqual(8 + json.byteLength + 25)
      }
    } catch (error) {
      expect(error).toMatchObject({ name: 'MactokError', code: 'ERR_FORMAT' })
    }
  }

  test('with some bytes changed is parsed within the file or refused', () => {
    expect(parse(Buffer.from(valid)).tensors.size).toBe(2)
    const change = fc.record({
      at: fc.nat(valid.length - 1),
      to: fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('{}[],:"0123456789-e\\')))
    })
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const json = Buffer.from(valid)
        for (const { at, to } of changes) json[at] = to
        parsesOrRefuses(json)
      }),
      { numRuns: 3000 }
    )
  })

  test('of any JSON is parsed within the file or refused', () => {
    const size = fc.oneof(fc.integer({ min: -2, max: 30 }), fc.maxSafeInteger(), fc.double())
    const tensor = fc.record({
      dtype: fc.oneof(fc.constantFrom('F32', 'U8', 'I64', 'BOOL', '__proto__'), fc.jsonValue()),
      shape: fc.oneof(fc.array(size, { maxLength: 4 }), fc.jsonValue()),
      data_offsets: fc.oneof(fc.tuple(size, size), fc.jsonValue())
    })
    const header = fc.dictionary(
      fc.oneof(fc.string(), fc.constantFrom('__proto__', '__metadata__')),
      fc.oneof(tensor, fc.jsonValue())
    )
    fc.assert(
      fc.property(header, (value) => parsesOrRefuses(Buffer.from(JSON.stringify(value)))),
      { numRuns: 2000 }
    )
  })

  test('of a writer is read back', async () => {
    const tensor = fc.record({
      name: fc.string().filter((name) => name !== '__metadata__'),
      shape: fc.array(fc.nat(3), { maxLength: 3 }),
      dtype: fc.constantFrom('float32' as const, 'int8' as const, 'int64' as const)
    })
    const tensors = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(tensors, fc.dictionary(fc.string(), fc.string()), async (list, metadata) => {
        const file = path.join(folder, 'property.safetensors')
        const size = { float32: 4, int8: 1, int64: 8 }
        const data = list.map(({ shape, dtype, name }) => {
          const bytes = new Uint8Array(shape.reduce((product, side) => product * side, size[dtype])).fill(
            name.length + 1
          )
          return { name, shape, dtype, data: bytes }
        })
        await writeSafetensors(file, data, metadata)
        await using read = await readSafetensors(file)
        expect({ ...read.metadata }).toEqual({ ...metadata })
        for (const { name, shape, data: bytes } of data) {
          expect(read.info(name).shape).toEqual(shape)
          expect(await read.bytes(name)).toEqual(bytes)
        }
      }),
      { numRuns: 50 }
    )
  })
})

describe('conversions', () => {
  // torch 2.15.0: torch.tensor(values).to(torch.float16 / torch.bfloat16), read as 16-bit integers.
  const values = [
    0,
    -0,
    1,
    -1.5,
    65504,
    65519.9,
    65520,
    1e-8,
    2 ** -25,
    2 ** -24,
    6.1e-5,
    1 / 3,
    Math.PI,
    1e38,
    Infinity,
    2049,
    2051,
    0.00002
  ]
  const halves = [
    0, 32768, 15360, 48640, 31743, 31743, 31744, 0, 0, 1, 1023, 13653, 16968, 31744, 31744, 26624, 26626, 336
  ]
  const brains = [
    0, 32768, 16256, 49088, 18304, 18304, 18304, 12844, 13056, 13184, 14464, 16043, 16457, 32406, 32640, 17664, 17664,
    14248
  ]

  test('float16 agrees with PyTorch', () => {
    expect(Array.from(new Uint16Array(fromFloat32(Float32Array.from(values), 'float16').buffer))).toEqual(halves)
  })

  test('bfloat16 agrees with PyTorch', () => {
    expect(Array.from(new Uint16Array(fromFloat32(Float32Array.from(values), 'bfloat16').buffer))).toEqual(brains)
  })

  test.each(['float16', 'bfloat16'] as const)('every %s survives the round trip through float32', (dtype) => {
    const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits)
    const floats = toFloat32(asBytes(all), dtype)
    const back = new Uint16Array(fromFloat32(floats, dtype).buffer)
    const changed = Array.from(all).filter((bits) => !Number.isNaN(floats[bits]) && back[bits] !== bits)
    expect(changed).toEqual([])
    const nan = Array.from(all).filter((bits) => Number.isNaN(floats[bits]))
    expect(toFloat32(fromFloat32(floats, dtype), dtype).filter(Number.isNaN)).toHaveLength(nan.length)
  })

  test('float64 and unaligned bytes', () => {
    expect(Array.from(toFloat32(asBytes(Float64Array.of(0.5, 2)), 'float64'))).toEqual([0.5, 2])
    const shifted = new Uint8Array(5)
    shifted.set(float32(1.25), 1)
    expect(Array.from(toFloat32(shifted.subarray(1), 'float32'))).toEqual([1.25])
    expect(() => toFloat32(new Uint8Array(8), 'int64')).toThrow(
      "Expected a floating-point type for dtype but received 'int64'"
    )
  })
})
