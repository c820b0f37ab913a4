import { totalmem } from 'node:os'
import { describe, expect, test } from '@jest/globals'
import { Generator, Tokenizer, tensor, trainTokenizer } from '../../lib/index.js'
import { resolveConfig } from '../../lib/training/tokenizer/presets.js'
import { tokenizerWork } from '../../lib/training/tokenizer/work.js'
import { requireFit } from '../../lib/training/work/fit.js'
import { mactok } from '../support/cli.js'
import { gradient, png, Workplace } from '../support/images.js'

const place = new Workplace()
const outOfMemory = (message: RegExp) => ({ code: 'ERR_OUT_OF_MEMORY', message: expect.stringMatching(message) })

describe('the memory of a training', () => {
  const config = { ...resolveConfig('mactok-b-256-128'), precision: 'bf16' as const }
  const work = tokenizerWork(config, { precision: 'bf16', attention: 'products', adversarial: true })
  const check = async (changes: object, force = false) => {
    const notices: string[] = []
    const notice = (message: string) => notices.push(message)
    const settings = { ...config, ...changes }
    const found = await requireFit(work, { config: settings, device: 'cpu', ranks: 1, sharded: false, force, notice })
    return { ...found, notices }
  }

  test('is predicted, and nothing is said where it suffices', async () => {
    const { needed, available, notices } = await check({ microBatch: 1 })
    expect(notices).toEqual([])
    expect(needed).toBeGreaterThan(4e9)
    expect(available).toBeLessThanOrEqual(totalmem())
  })

  test('is refused with figures and what would fit, unless forced', async () => {
    const message =
      /^The training needs about .* GB, more than the .* GB of this machine: microBatch \d+ \(--micro-batch\) would fit/
    await expect(check({ batch: 2 ** 16 })).rejects.toMatchObject(outOfMemory(message))
    const { notices, needed, available } = await check({ batch: 2 ** 16 }, true)
    expect(notices).toEqual([expect.stringMatching(message)])
    expect(needed).toBeGreaterThan(available as number)
  })

  test('is said but not refused within the uncertainty of the prediction', async () => {
    const { needed: one, available } = (await check({ microBatch: 1 })) as { needed: number; available: number }
    const { needed: two } = (await check({ microBatch: 2 })) as { needed: number }
    // 5 % more than there is
    const microBatch = Math.ceil((1.05 * available - one) / (two - one)) + 1
    const { notices } = await check({ batch: microBatch, microBatch })
    expect(notices).toHaveLength(1)
  })
})

test('a training that cannot fit is refused before it starts, by the library and the command line', async () => {
  for (const i of [0, 1]) await place.write(`photos/${i}.png`, await png(gradient(64, 64, i)))
  const photos = place.path('photos')
  const settings = { preset: 'tiny-64', batch: 65_536, teacher: { weights: null } }
  const run = trainTokenizer(settings)
    .data(photos)
    .run({ dir: place.path('run'), device: 'cpu' })
  await expect(run).rejects.toMatchObject(outOfMemory(/more than the .* GB of this machine/))
  const { code, stderr } = await mactok(
    ['train', 'tokenizer', 'tiny-64', '--data', photos, '--out', place.path('other'), '--device', 'cpu'].concat([
      ...['--batch', '65536', '--teacher.weights', 'none']
    ])
  )
  expect(code).toBe(1)
  expect(stderr).toMatch(/needs about .* would fit; force \(--force\) tries it nevertheless/)
})

test('weights and batches that no memory holds are refused', async () => {
  const side = { width: 8192, depth: 20, heads: 64 }
  const sizes = { imageSize: 64, patchSize: 16, latentTokens: 16, latentChannels: 8 }
  await expect(Tokenizer.create({ ...sizes, encoder: side, decoder: side }, { device: 'cpu' })).rejects.toMatchObject(
    outOfMemory(/^The weights of this tokenizer take 85\.9 GB, more than the .* lower its sizes$/)
  )
  const wide = { ...side, latentShape: [16, 8], classes: 10 }
  await expect(Generator.create(wide, { device: 'cpu' })).rejects.toMatchObject(
    outOfMemory(/^The weights of this generator take 4\d\.\d GB/)
  )

  const small = { width: 256, depth: 1, heads: 2 }
  using tokenizer = await Tokenizer.create(
    { imageSize: 16, patchSize: 1, latentTokens: 4, latentChannels: 3, encoder: small, decoder: small },
    { device: 'cpu' }
  )
  using latents = tensor(new Float32Array(65_536 * 12), [65_536, 4, 3])
  await expect(tokenizer.decode(latents)).rejects.toMatchObject(
    outOfMemory(/^65536 images at once take 34\.9 GB, .* use smaller batches \(--batch\)$/)
  )
  using generator = await Generator.create({ ...small, latentShape: [1024, 3], classes: 2 }, { device: 'cpu' })
  await expect(generator.sample({ count: 65_536 })).rejects.toMatchObject(
    outOfMemory(/^65536 samples at once take .* draw fewer at a time \(--batch\)$/)
  )
})
