import { spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { describe, expect, test } from '@jest/globals'
import { npzImages } from '../../lib/evaluation/image-stream.js'
import { crc32 } from '../../lib/files/crc32.js'
import { NpzFile } from '../../lib/files/npz-reader.js'
import { NpzWriter, writeNpz } from '../../lib/files/npz-writer.js'
import { GOLDEN } from '../support/golden.js'
import { Workplace } from '../support/images.js'
import { CASES } from '../support/paths.js'

const place = new Workplace()

describe('NumPy archives', () => {
  test('are read compressed', async () => {
    // numpy 2.4.6, savez_compressed (test/golden/metrics.py, seed 708).
    await using file = await NpzFile.open(`${GOLDEN}statistics.npz`)
    expect(file.names().sort()).toEqual(['arr_0', 'mu', 'sigma'])
    const { shape, data } = await file.numbers('mu')
    expect(shape).toEqual([3])
    expect([...data]).toEqual([0.7866021230256166, 1.871205314968646, -2.2385897899807636])
    expect([...(await file.numbers('sigma')).data]).toEqual([1 / 3, 0, 0, 0, 1 / 3, 0, 0, 0, 1 / 3])
    expect(await file.describe('arr_0')).toEqual({ dtype: '|u1', shape: [2, 4, 5, 3] })
  })

  test('whose content is not what their checksum says are refused by name', async () => {
    const path = place.path('flipped.npz')
    await writeNpz(path, {
      mu: { shape: [3], data: Float64Array.of(1, 2, 3) },
      sigma: { shape: [2], data: Float64Array.of(4, 5) }
    })
    const bytes = await readFile(path)
    const at = bytes.indexOf(Buffer.from(Float64Array.of(2).buffer))
    bytes[at + 3] = (bytes[at + 3] as number) ^ 1
    await writeFile(path, bytes)
    await using file = await NpzFile.open(path)
    await expect(file.numbers('mu')).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: `Cannot read mu of ${path}: its checksum differs: it is damaged`
    })
    expect([...(await file.numbers('sigma')).data]).toEqual([4, 5])
  })

  test('give images batch by batch, from any position on', async () => {
    const path = place.path('images.npz')
    const writer = await NpzWriter.create(path, 5, 2, 3)
    const image = (i: number) => Uint8Array.from({ length: 18 }, (_, j) => 18 * i + j)
    for (let i = 0; i < 5; i++) await writer.add(image(i), i)
    await writer.finish()
    for (const [first, batch] of [
      [0, 2],
      [3, 2],
      [4, 10]
    ] as const) {
      await using stream = await npzImages(path)
      expect(stream).toMatchObject({ total: 5, height: 2, width: 3 })
      const found: number[] = []
      let end = 0
      for await (const { images, count, next } of stream.batches(first, batch)) {
        expect(images.length).toBe(18 * count)
        found.push(...images)
        end = next
      }
      expect(end).toBe(5)
      expect(found).toEqual(Array.from({ length: 18 * (5 - first) }, (_, j) => 18 * first + j))
    }
    await using some = await npzImages(path, { count: 3 })
    expect(some.total).toBe(3)
    await using file = await NpzFile.open(path)
    expect([...(await file.numbers('arr_1')).data]).toEqual([0, 1, 2, 3, 4])
  })

  test('can be read as they were written', async () => {
    const path = place.path('written.npz')
    const floats = Float32Array.of(1.5, -2, 3, 4)
    await writeNpz(path, {
      a: { shape: [2, 2], data: floats },
      b: { shape: [3], data: Float64Array.of(Math.PI, 0, -1) },
      c: { shape: [1], data: Int32Array.of(7) }
    })
    await using file = await NpzFile.open(path)
    expect(await file.floats('a')).toEqual({ shape: [2, 2], data: floats })
    expect([...(await file.numbers('b')).data]).toEqual([Math.PI, 0, -1])
    expect([...(await file.numbers('c')).data]).toEqual([7])
    // Any zip reader checks sizes and sums.
    const unzip = spawnSync('python3', ['-c', `import zipfile; print(zipfile.ZipFile('${path}').testzip())`])
    if (unzip.error) process.stderr.write('skipped: a check by another zip reader (no python3)\n')
    else expect(String(unzip.stdout).trim()).toBe('None')
  })

  test('that are invalid, or lack an array, are rejected by name', async () => {
    const text = await place.write('text.npz', 'nothing')
    await expect(NpzFile.open(text)).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    await using file = await NpzFile.open(`${GOLDEN}statistics.npz`)
    await expect(file.numbers('nu')).rejects.toThrow('Cannot read nu')
    await expect(file.floats('mu')).rejects.toThrow('its dtype is <f8')
    const path = place.path('other.npz')
    await writeNpz(path, { arr_0: { shape: [1], data: Float32Array.of(1) } })
    await expect(npzImages(path)).rejects.toThrow('instead of |u1 [N, H, W, 3]')
  })

  test('of impossible shapes are refused before anything is read', async () => {
    await expect(npzImages(`${CASES}zerodim.npz`)).rejects.toThrow('zerodim.npz have 0 × 64 pixels')
    await expect(npzImages(`${CASES}negdim.npz`)).rejects.toThrow(
      /Cannot read arr_0 of .*negdim.npz: its shape \(-5, 8, 8, 3\) is impossible/
    )
    const path = place.path('claims.npz')
    await writeNpz(path, { mu: { shape: [11], data: new Float64Array(11) } })
    await patch(path, "'shape': (11,)", "'shape': (99,)")
    await using claims = await NpzFile.open(path)
    await expect(claims.numbers('mu')).rejects.toThrow('its shape [99] needs 792 bytes, but it has 88')
  })

  test('that hold more numbers than statistics have are refused by their shape', async () => {
    const path = place.path('many.npz')
    await writeNpz(path, { mu: { shape: [2 ** 24 + 1], data: new Int32Array(2 ** 24 + 1) } })
    await using file = await NpzFile.open(path)
    await expect(file.numbers('mu')).rejects.toThrow('its shape [16777217] has more than 16777216 numbers')
  })

  test('in Fortran order are read in row-major order', async () => {
    const path = place.path('fortran.npz')
    const data = Float64Array.of(0, 3, 1, 4, 2, 5)
    await writeNpz(path, { a: { shape: [2, 3], data } })
    await patch(path, "'fortran_order': False", "'fortran_order': True ")
    await using file = await NpzFile.open(path)
    expect([...(await file.numbers('a')).data]).toEqual([0, 1, 2, 3, 4, 5])
    const rows: number[][] = []
    for await (const { rows: bytes } of file.rows('a', 1)) {
      rows.push([0, 8, 16].map((at) => bytes.readDoubleLE(at)))
    }
    expect(rows).toEqual([
      [0, 1, 2],
      [3, 4, 5]
    ])
  })
})

/** Replaces text of an archive's first array by another of the same length, with the checksum that belongs to it. */
async function patch(path: string, from: string, to: string): Promise<void> {
  const text = (await readFile(path)).toString('latin1')
  // Up to the next header of the archive.
  const array = text.slice(text.indexOf('\x93NUMPY')).split('PK', 1)[0] as string
  const changed = array.replace(from, to)
  const sum = (content: string) => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32LE(crc32(Buffer.from(content, 'latin1')))
    return bytes.toString('latin1')
  }
  await writeFile(path, text.replace(array, changed).replaceAll(sum(array), sum(changed)), 'latin1')
}
