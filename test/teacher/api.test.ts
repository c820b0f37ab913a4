import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Teacher } from '../../lib/teacher/teacher.js'
import { tensor } from '../../lib/tensor/tensor.js'
import { writeSafetensors } from '../../lib/weights/writer.js'
import { Golden, relativeError } from '../support/golden.js'
import { device } from '../support/native.js'

// biome-ignore lint/suspicious/noExplicitAny: wrong arguments are the subject
type Anything = any

describe('Teacher', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mactok-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  let teacher: Teacher

  beforeAll(async () => {
    await writeTeacher(folder)
    teacher = await Teacher.load(folder, { grid: 4, device })
  })

  test('loads a checkpoint in timm names and fits it to the grid', async () => {
    expect(teacher.config).toMatchObject({ grid: 4, patchSize: 4 })
    const golden = new Golden('vit_gelu')
    const { data, shape } = golden.get('images')
    const { cls, patches } = await teacher.features(tensor(data as Uint8Array, shape, { device }))
    const expected = golden.floats('cls')
    expect(relativeError(await cls.data(), expected)).toBeLessThan(1e-5)
    expect(patches.shape).toEqual([2, 16, 12])
    expect((await teacher.similarity(tensor(data as Uint8Array, shape, { device }), { grid: 3 })).shape).toEqual([2, 9])
  })

  const images = () => tensor(new Uint8Array(768), [1, 16, 16, 3], { device })

  test.each<[string, () => Promise<unknown>, typeof Error, RegExp]>([
    [
      'a grid of 0',
      () => Teacher.load(folder, { grid: 0 }),
      RangeError,
      /an integer from 1 to 256 for grid but received 0/
    ],
    ['no grid', () => Teacher.load(folder, {} as Anything), TypeError, /an integer from 1 to 256 for grid/],
    ['a patch of 0', () => Teacher.load(folder, { grid: 4, patchSize: 0 }), RangeError, /patchSize/],
    ['an unknown device', () => Teacher.load(folder, { grid: 4, device: 'tpu' }), TypeError, /device/],
    ['images that are not a tensor', () => teacher.features([] as Anything), TypeError, /images/],
    [
      'images of another dtype',
      () => teacher.features(tensor(new Int8Array(768), [1, 16, 16, 3]) as Anything),
      TypeError,
      /images/
    ],
    [
      'an unknown precision',
      () => teacher.features(images(), { precision: 'int8' as Anything }),
      RangeError,
      /precision/
    ],
    ['unknown options', () => Teacher.load(folder, { grids: 4 } as Anything), TypeError, /grids; did you mean grid\?/],
    [
      'unknown options of features',
      () => teacher.features(images(), { precison: 'fp32' } as Anything),
      TypeError,
      /precison; did you mean precision\?/
    ],
    ['a similarity grid of 1.5', () => teacher.similarity(images(), { grid: 1.5 }), RangeError, /grid/]
  ])('refuses %s', async (_, call, type, message) => {
    const error = await call().catch((thrown: Error) => thrown)
    expect(error).toBeInstanceOf(type)
    expect((error as Error).message).toMatch(message)
  })

  test('missing weights are an ERR_FORMAT that says how to get them', async () => {
    await expect(Teacher.load(join(folder, 'nowhere'), { grid: 4 })).rejects.toMatchObject({
      name: 'MactokError',
      code: 'ERR_FORMAT'
    })
    await expect(Teacher.load('no-such-name', { grid: 4 })).rejects.toMatchObject({ name: 'MactokError' })
  })

  test('is unusable after dispose(), which may be called twice', async () => {
    const other = await Teacher.load(folder, { grid: 4, device })
    other.dispose()
    other.dispose()
    await expect(other.features(images())).rejects.toMatchObject({ code: 'ERR_DISPOSED' })
  })
})

/** The golden ViT as a folder with `config.json` and `model.safetensors`. */
async function writeTeacher(folder: string) {
  const weights = new Golden('vit_gelu').under('w.')
  const tensors = Object.entries(weights).map(([name, { data, shape }]) => ({
    name,
    dtype: 'float32' as const,
    shape,
    data
  }))
  await writeSafetensors(join(folder, 'model.safetensors'), tensors)
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ num_attention_heads: 2 }))
}
