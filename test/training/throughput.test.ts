import { readdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { writePng } from '../../lib/data/image.js'
import { Recording } from '../../lib/profile/recording.js'
import { readMetrics } from '../../lib/runs/metrics.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { trainGenerator } from '../../lib/training/generator/training.js'
import { trainTokenizer } from '../../lib/training/tokenizer/training.js'
import { gradient, Workplace } from '../support/images.js'
import { twoClassShards } from '../support/latents.js'
import { device } from '../support/native.js'

const place = new Workplace()
const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }
const config = { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit }
const batch = 4
/** Two lines of the log; a grid and a checkpoint fall between them. */
const settings = {
  batch,
  steps: 8,
  precision: 'fp32' as const,
  log: { every: 4 },
  grid: { every: 3, images: 2 },
  checkpoint: { every: 6 }
}

beforeAll(async () => {
  await mkdir(place.path('photos'))
  for (let i = 0; i < 6; i++) await writePng(join(place.path('photos'), `${i}.png`), gradient(16, 16, 20 * i))
  using tokenizer = await Tokenizer.create(config, { device })
  await tokenizer.save(place.path('tokenizer'))
  const identity = await tokenizer.identity()
  await twoClassShards(place.path('shards'), { tokens: 4, channels: 4, tokenizer: identity })
})

const second = 1000
let clock = 0
/** A clock on which a step takes one second and nothing else takes any time. */
beforeEach(() => {
  clock = 0
  const { step } = Recording.prototype
  jest.spyOn(performance, 'now').mockImplementation(() => clock)
  jest.spyOn(Recording.prototype, 'step').mockImplementation(function (this: Recording, ...args) {
    clock += second
    return step.apply(this, args)
  })
})
afterEach(() => {
  jest.restoreAllMocks()
})

/** Something that takes a minute and is no training. */
const slow = () => {
  clock += 60 * second
}

const trainings = {
  tokenizer: (left: number[]) =>
    trainTokenizer({ ...settings, tokenizer: config, align: { local: false, global: false }, masking: { semantic: 0 } })
      .data(place.path('photos'))
      .set({ data: { heldOut: 2 }, evaluation: { every: 5 } })
      .on('evaluation', slow)
      .on('grid', slow)
      .on('checkpoint', slow)
      .on('step', ({ secondsLeft }) => left.push(secondsLeft)),
  generator: (left: number[]) =>
    trainGenerator({ ...settings, generator: { width: 16, depth: 1, heads: 2 } })
      .latents(place.path('shards'), { tokenizer: place.path('tokenizer') })
      .on('grid', slow)
      .on('checkpoint', slow)
      .on('step', ({ secondsLeft }) => left.push(secondsLeft))
}

describe.each([
  ['tokenizer', 'imagesPerSecond'],
  ['generator', 'latentsPerSecond']
] as const)('the throughput of a %s run', (kind, name) => {
  test('counts the time of the steps since the last line of the log, and that of nothing else', async () => {
    const left: number[] = []
    const dir = place.path(kind)
    await trainings[kind](left).run({ dir, device })
    expect(readdirSync(join(dir, 'grids'))).toEqual(['step-0000003.png', 'step-0000006.png'])
    const rates = readMetrics(dir).flatMap((line) => (name in line ? [[line.step, line[name]]] : []))
    expect(rates).toEqual([4, 6, 8].map((step) => [step, batch]))
    expect(left).toEqual([4, 2, 0])
  })
})
