import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, jest, test } from '@jest/globals'
import { writePng } from '../../lib/data/image.js'
import { newestCheckpoint } from '../../lib/runs/checkpoint.js'
import { readMetrics } from '../../lib/runs/metrics.js'
import { TrainingData } from '../../lib/training/tokenizer/data.js'
import type { TrainingConfigInput } from '../../lib/training/tokenizer/schema.js'
import { trainTokenizer } from '../../lib/training/tokenizer/training.js'
import { mactok } from '../support/cli.js'
import { gradient, Workplace } from '../support/images.js'
import { device } from '../support/native.js'
import { describeWith, WEIGHTS } from '../support/paths.js'

const place = new Workplace()
const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }

type Evaluation = NonNullable<TrainingConfigInput['evaluation']>

/** Two steps, and an evaluation of held-out images after them. */
async function evaluated(
  name: string,
  metrics: Evaluation['metrics'],
  { evaluation = {} as Evaluation, heldOut = 4, resume = false } = {}
) {
  const photos = place.path(`${name}-photos`)
  await mkdir(photos, { recursive: true })
  for (let i = 0; i < 8; i++) await writePng(join(photos, `${i}.png`), gradient(32 + i, 32, 20 * i))
  const dir = place.path(name)
  const events: Record<string, unknown>[] = []
  await trainTokenizer({
    tokenizer: { imageSize: 32, patchSize: 8, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit },
    batch: 2,
    steps: 2,
    precision: 'fp32',
    align: { local: false, global: false },
    masking: { semantic: 0 },
    data: { heldOut },
    evaluation: { every: 2, batch: 2, metrics: metrics ?? [], ...evaluation }
  })
    .data(photos)
    .on('evaluation', (event) => events.push({ ...event }))
    .run({ dir, device, resume })
  const line = readMetrics(dir).findLast((one) => 'evaluation' in one)
  return { event: events.at(-1), logged: line?.evaluation }
}

test('training evaluates SSIM on held-out images where it is requested, and logs it', async () => {
  const { event, logged } = await evaluated('ssim', ['ssim'])
  expect(event).toMatchObject({ images: 4, ssim: expect.any(Number), psnr: expect.any(Number) })
  expect(logged).toMatchObject({ ssim: event?.ssim })
  const plain = await evaluated('plain', [])
  expect('ssim' in (plain.event ?? {})).toBe(false)
})

describeWith(join(WEIGHTS, 'inception-fid'), 'with the weights of Inception', () => {
  test('training evaluates rFID', async () => {
    const before = process.env.MACTOK_WEIGHTS
    process.env.MACTOK_WEIGHTS = WEIGHTS
    try {
      const { logged } = await evaluated('rfid', ['rfid'])
      expect((logged as Record<string, number>).rfid).toBeGreaterThan(1)
    } finally {
      if (before === undefined) delete process.env.MACTOK_WEIGHTS
      else process.env.MACTOK_WEIGHTS = before
    }
  })
})

describe('what evaluations need is checked before the first step:', () => {
  test('weights', async () => {
    const evaluation = { dinov2: '/nowhere/dinov2' }
    await expect(evaluated('no-weights', ['ssim', 'rfdDinov2'], { evaluation })).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringMatching(
        /^rfdDinov2, which evaluation.metrics requests, cannot be computed: The weights \/nowhere\/dinov2 were not found/
      )
    })
    expect(readMetrics(place.path('no-weights'))).toEqual([])
    // The steps end before the first evaluation.
    await evaluated('never', ['rfdDinov2'], { evaluation: { ...evaluation, every: 3 } })
  })

  test('enough held-out images', async () => {
    await expect(evaluated('one', ['rfid'], { heldOut: 1 })).rejects.toThrow(
      'Expected 2 or more images, which rfid needs for data.heldOut but received 1'
    )
    await expect(evaluated('limited', ['rkid'], { evaluation: { images: 1 } })).rejects.toThrow(
      'Expected 2 or more images, which rkid needs for evaluation.images but received 1'
    )
  })
})

test('a run whose evaluation failed resumes with that evaluation, and logs what it would have logged', async () => {
  await evaluated('whole', ['ssim'])
  const failing = jest.spyOn(TrainingData.prototype, 'evaluate').mockRejectedValueOnce(new Error('the disk is gone'))
  await expect(evaluated('failed', ['ssim'])).rejects.toThrow('the disk is gone')
  failing.mockRestore()
  expect((await newestCheckpoint(place.path('failed')))?.state.step).toBe(2)
  const evaluations = (name: string) => readMetrics(place.path(name)).filter(({ evaluation }) => evaluation)
  expect(evaluations('failed')).toEqual([])
  await evaluated('failed', ['ssim'], { resume: true })
  expect(evaluations('failed')).toEqual(evaluations('whole'))
  // What is there is not evaluated again.
  expect((await evaluated('failed', ['ssim'], { resume: true })).event).toBeUndefined()
})

test('the flag takes names with commas, and refuses others', async () => {
  const train = (metrics: string) =>
    mactok(['train', 'tokenizer', 'tiny-32', '--data', 'x', '--out', place.path('x'), '--evaluation.metrics', metrics])
  const wrong = await train('ssim,fid')
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('some of samplePsnr, ssim, lpips, rfid')])
  // Beyond the flags it gets as far as the images, which are not there.
  expect((await train('ssim,rfid')).stderr).toContain('There is neither a folder nor a tar at x')
})
