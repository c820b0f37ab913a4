import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { evaluationBatches } from '../../lib/data/evaluation-batches.js'
import { writePng } from '../../lib/data/image.js'
import { imageFolder } from '../../lib/data/image-folder.js'
import { type TrainBatch, trainBatches } from '../../lib/data/train-batches.js'
import { addon } from '../../lib/native/load.js'
import { readMetrics } from '../../lib/runs/metrics.js'
import { FeatureCache, type FeatureCacheOptions } from '../../lib/teacher/feature-cache.js'
import { Teacher } from '../../lib/teacher/teacher.js'
import { tensor } from '../../lib/tensor/tensor.js'
import type { TrainingConfigInput } from '../../lib/training/tokenizer/schema.js'
import { trainTokenizer } from '../../lib/training/tokenizer/training.js'
import { Workplace } from '../support/images.js'
import { device } from '../support/native.js'
import { describeWith, WEIGHTS } from '../support/paths.js'

const weights = join(WEIGHTS, 'dinov2-small')
const size = 16
const workplace = new Workplace()
let photos: string

const draw = (name: string, seed: number, width = 20, height = 20) => {
  const data = Uint8Array.from(addon().uniform(seed, 'test', 0, 0, 1, width * height * 3), (value) => value * 256)
  return writePng(join(photos, name), { data, width, height })
}

beforeAll(async () => {
  photos = workplace.path('photos')
  mkdirSync(photos)
  for (let i = 0; i < 6; i++) await draw(`${i}.png`, i)
})

describeWith(weights, "a teacher's features on disk", () => {
  let teacher: Teacher
  beforeAll(async () => {
    teacher = await Teacher.load(weights, { grid: 4, device })
  })

  const open = async (changes: Partial<FeatureCacheOptions> = {}) => {
    const set = await imageFolder(photos).open()
    const cache = await FeatureCache.open({
      folder: workplace.path('cache'),
      set,
      teacher,
      size,
      flip: true,
      precision: 'fp32',
      ...changes
    })
    return { set, cache: cache as FeatureCache }
  }

  test('equal those computed from the same images, mirrored or not, in float16', async () => {
    const { set, cache } = await open()
    const batches = trainBatches(set, { size, batch: 8, seed: 3, uniform: addon().uniform, minScale: 1 })
    const { value: batch } = await batches.next()
    await batches.return()
    const { images, indices } = batch as TrainBatch
    const cached = await cache.features({ images, indices })
    expect(cached.shape).toEqual([8, 17, 384])
    const half = await cached.to('cpu', 'float32')
    const found = new Float32Array(await half.read())
    using input = tensor(images, [8, size, size, 3], { dtype: 'uint8' })
    const { cls, patches } = await teacher.features(input)
    const [ofCls, ofPatches] = [await cls.toFloat32(), await patches.toFloat32()]
    let largest = 0
    for (let row = 0; row < 8; row++) {
      for (let i = 0; i < 17 * 384; i++) {
        const expected = i < 384 ? ofCls[row * 384 + i] : ofPatches[row * 16 * 384 + i - 384]
        largest = Math.max(largest, Math.abs((found[row * 17 * 384 + i] as number) - (expected as number)))
      }
    }
    // Half a unit in the last place of values up to 16, and what another batch size changes.
    expect(largest).toBeLessThan(5e-3)
    for (const each of [cached, half, cls, patches]) each.dispose()
    await cache[Symbol.asyncDispose]()
    await set.close()
  })

  test('are computed once: complete shards stay, missing and unfinished ones are computed again', async () => {
    const folder = workplace.path('again')
    const { cache } = await open({ folder })
    await cache[Symbol.asyncDispose]()
    const place = join(folder, readdirSync(folder)[0] as string)
    const file = join(place, readdirSync(place)[0] as string)
    const { mtimeMs } = statSync(file)
    writeFileSync(join(place, '.features-00001.safetensors.0badcafe.tmp'), 'cut')
    await (await open({ folder })).cache[Symbol.asyncDispose]()
    expect(statSync(file).mtimeMs).toBe(mtimeMs)
    rmSync(file)
    const stop = new AbortController()
    stop.abort()
    expect((await open({ folder, signal: stop.signal })).cache).toBeNull()
    await (await open({ folder })).cache[Symbol.asyncDispose]()
    expect(readdirSync(place).filter((name) => name.endsWith('.safetensors'))).toHaveLength(1)
  })

  test('of other settings have their own folder; those of other images are refused', async () => {
    const folder = workplace.path('others')
    for (const changes of [{}, { flip: false }, { size: 8 }]) {
      await (await open({ folder, ...changes })).cache[Symbol.asyncDispose]()
    }
    expect(readdirSync(folder)).toHaveLength(3)
    const { cache } = await open({ folder })
    const images = new Uint8Array(size * size * 3)
    await expect(cache.features({ images, indices: [2] })).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringContaining("Image 2 is not what the teacher's features were computed from")
    })
    await cache[Symbol.asyncDispose]()
  })

  test('are computed again for the images whose files changed, and for no others', async () => {
    const folder = workplace.path('changed')
    await draw('broken.png', 8)
    const image = readFileSync(join(photos, 'broken.png'))
    writeFileSync(join(photos, 'broken.png'), 'no image')
    const crop = async (index: number) => {
      const set = await imageFolder(photos).open()
      for await (const { images } of evaluationBatches(set, { size, batch: 1, start: index, end: index + 1 })) {
        return { images, indices: [index] }
      }
      throw new Error('no image')
    }
    const skipped: string[] = []
    const onBroken = ({ name }: { name: string }) => skipped.push(name)
    try {
      await (await open({ folder, onBroken })).cache[Symbol.asyncDispose]()
      expect(skipped).toEqual(['broken.png'])
      writeFileSync(join(photos, 'broken.png'), image)
      await draw('2.png', 77)
      const { cache } = await open({ folder, onBroken })
      for (const index of [2, 3, 6]) (await cache.features(await crop(index))).dispose()
      await cache[Symbol.asyncDispose]()
      expect(skipped).toEqual(['broken.png'])
      // Another time alone is no change: the teacher is not asked again.
      utimesSync(join(photos, '3.png'), 1, 1)
      const deaf = new Proxy(teacher, {
        get: (target, name) => {
          if (name === 'native') throw new Error('asked again')
          const value = Reflect.get(target, name, target)
          return typeof value === 'function' ? value.bind(target) : value
        }
      })
      const { cache: copied } = await open({ folder, teacher: deaf })
      ;(await copied.features(await crop(3))).dispose()
      await copied[Symbol.asyncDispose]()
    } finally {
      rmSync(join(photos, 'broken.png'))
      await draw('2.png', 2)
    }
  })

  test('require square images', async () => {
    await draw('wide.png', 9, 30, 20)
    try {
      await expect(open({ folder: workplace.path('wide') })).rejects.toThrow('Expected square images for images')
    } finally {
      rmSync(join(photos, 'wide.png'))
    }
  })

  test('give training the same losses as the teacher itself', async () => {
    const vit = { width: 16, depth: 2, heads: 2, layerScale: 1 }
    const settings: TrainingConfigInput = {
      tokenizer: { imageSize: size, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit },
      batch: 4,
      microBatch: 2,
      steps: 6,
      precision: 'fp32',
      align: { hidden: 8 },
      // Semantic masks rank similarities, where rounding may turn two of them round.
      masking: { semantic: 0 },
      teacher: { weights },
      data: { minScale: 1 },
      log: { every: 1 }
    }
    const [plain, cached] = [workplace.path('plain'), workplace.path('cached')]
    await trainTokenizer(settings).data(photos).run({ dir: plain, device })
    const progress: number[] = []
    await trainTokenizer(settings)
      .set({ teacher: { cache: 'auto' } })
      .data(photos)
      .on('features', ({ done }) => progress.push(done))
      .run({ dir: cached, device })
    expect(progress.at(-1)).toBe(6)
    expect(readdirSync(cached)).toContain('teacher')
    const terms = (dir: string) => readMetrics(dir).map(({ loss }) => loss as Record<string, number>)
    for (const [step, loss] of terms(plain).entries()) {
      for (const [name, value] of Object.entries(loss)) {
        expect(Math.abs((terms(cached)[step]?.[name] as number) - value)).toBeLessThan(2e-4)
      }
    }
    // Those of one step come so late that a step which did not wait for it would overtake it.
    const read = FeatureCache.prototype.features
    const slow = jest.spyOn(FeatureCache.prototype, 'features').mockImplementationOnce(async function (
      this: FeatureCache,
      batch
    ) {
      await sleep(500)
      return read.call(this, batch)
    })
    const late = workplace.path('late')
    await trainTokenizer(settings)
      .set({ teacher: { cache: join(cached, 'teacher') }, log: { every: 6 } })
      .data(photos)
      .run({ dir: late, device })
    expect(slow).toHaveBeenCalledTimes(6)
    slow.mockRestore()
    const final = (dir: string) => readFileSync(join(dir, 'checkpoints/step-0000006/model.safetensors'))
    expect(final(late).equals(final(cached))).toBe(true)
  })
})

describe('teacher.cache', () => {
  test('is rejected where training crops at random', () => {
    expect(() => trainTokenizer({ preset: 'tiny-64', teacher: { cache: 'auto' } })).toThrow(
      'teacher.cache: expected null where training crops at random (data.minScale below 1); data.minScale is 0.8'
    )
    expect(() => trainTokenizer({ preset: 'tiny-32', teacher: { cache: 'auto' } })).not.toThrow()
  })
})
