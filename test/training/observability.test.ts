import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import sharp from 'sharp'
import { writePng } from '../../lib/data/image.js'
import { addon } from '../../lib/native/load.js'
import { readMetrics } from '../../lib/runs/metrics.js'
import type { TrainingConfigInput } from '../../lib/training/tokenizer/schema.js'
import { trainTokenizer } from '../../lib/training/tokenizer/training.js'
import { Workplace } from '../support/images.js'
import { device } from '../support/native.js'

const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }
const small: TrainingConfigInput = {
  tokenizer: { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit },
  batch: 4,
  steps: 4,
  precision: 'fp32',
  align: { local: false, global: false },
  masking: { semantic: 0 },
  log: { every: 1 },
  grid: { every: 2, images: 3 }
}
const workplace = new Workplace()
let photos: string
beforeAll(async () => {
  photos = workplace.path('photos')
  for (const label of ['a', 'b']) {
    mkdirSync(join(photos, label), { recursive: true })
    for (let i = 0; i < 8; i++) {
      const data = Uint8Array.from(addon().uniform(i, label, 0, 0, 1, 16 * 16 * 3), (value) => value * 256)
      await writePng(join(photos, label, `${i}.png`), { data, width: 16, height: 16 })
    }
  }
})
const dir = (name: string) => workplace.path(name)

describe('sample grids', () => {
  test('show originals, masks and reconstructions, and are the same in a resumed run', async () => {
    const files: string[] = []
    const train = (changes: TrainingConfigInput = {}) => trainTokenizer(small).set(changes).data(photos)
    await train()
      .on('grid', ({ file }) => files.push(file))
      .run({ dir: dir('whole'), device })
    expect(files).toEqual(['step-0000002.png', 'step-0000004.png'].map((name) => join(dir('whole'), 'grids', name)))
    // Three rows of original, random mask and reconstruction, enlarged eight times, with gaps and captions.
    const { width, height } = await sharp(files[0] as string).metadata()
    expect([width, height]).toEqual([2 + 3 * 130, 18 + 2 + 3 * 130])
    await train().run({ dir: dir('parts'), device, stopAt: 3 })
    await train({ grid: { images: 3 } }).run({ dir: dir('parts'), device, resume: true })
    const bytes = (run: string) => readFileSync(join(dir(run), 'grids/step-0000004.png'))
    expect(bytes('parts').equals(bytes('whole'))).toBe(true)
  })

  test('are not written where none are wanted', async () => {
    await trainTokenizer(small)
      .set({ grid: { every: null } })
      .data(photos)
      .run({ dir: dir('none'), device })
    expect(readdirSync(dir('none'))).not.toContain('grids')
  })
})

test('metrics and TensorBoard have everything needed to follow a run', async () => {
  const run = dir('metrics')
  await trainTokenizer(small)
    .set({ evaluation: { every: 2, probe: 'flatten' } })
    .data(photos, { heldOut: photos })
    .run({ dir: run, device })
  const lines = readMetrics(run)
  const [step, evaluation] = [lines.filter(({ loss }) => loss), lines.filter((line) => line.evaluation)]
  expect([step.length, evaluation.length]).toEqual([4, 2])
  const names = ['epoch', 'psnr', 'maskRatio', 'activeUnits', 'gradNorm', 'skipped', 'lr', 'klWeight', 'klPerDimension']
  for (const line of step) {
    expect(Object.keys(line)).toEqual(expect.arrayContaining([...names, 'imagesPerSecond']))
    const { total, reconstruction, kl } = line.loss as Record<string, number>
    expect(total).toBeCloseTo((reconstruction as number) + 1e-6 * (kl as number), 6)
    expect(line.klPerDimension).toBeCloseTo((kl as number) / 16, 10)
    for (const name of names) expect(Number.isFinite(line[name])).toBe(true)
  }
  for (const line of evaluation) {
    const { psnr, kl, activeUnits, probe } = line.evaluation as Record<string, number>
    const channels = Object.values(line.klPerChannel as Record<string, number>)
    expect(channels).toHaveLength(4)
    expect(channels.reduce((sum, value) => sum + value, 0)).toBeCloseTo(kl as number, 5)
    expect([psnr, activeUnits, probe].every(Number.isFinite)).toBe(true)
  }
  const events = readFileSync(join(run, readdirSync(run).find((name) => name.includes('tfevents')) as string))
  const tags = ['loss/total', 'loss/reconstruction', 'loss/kl', 'evaluation/psnr', 'evaluation/probe', 'klPerChannel/3']
  for (const tag of [...tags, ...names, 'imagesPerSecond']) expect(events.includes(tag)).toBe(true)
})
