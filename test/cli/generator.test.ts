import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import sharp from 'sharp'
import { stringify } from 'yaml'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { mactok } from '../support/cli.js'
import { difference, Workplace } from '../support/images.js'
import { twoClassShards } from '../support/latents.js'
import { device } from '../support/native.js'

const place = new Workplace()
const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }
const settings = {
  generator: { width: 16, depth: 1, heads: 2 },
  batch: 8,
  steps: 24,
  precision: 'fp32',
  log: { every: 1 },
  checkpoint: { every: 12 },
  grid: { every: 12, images: 6, steps: 2 }
}

/** A tokenizer of 16 × 16 images as 4 tokens of 4 channels. */
async function tokenizer(name: string, seed: number): Promise<string> {
  using model = await Tokenizer.create(
    { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit },
    { device, seed }
  )
  await model.save(place.path(name))
  return model.identity()
}

const train = (...args: string[]) => mactok(['train', 'generator', '--device', device, ...args])
const trainNew = (out: string, ...args: string[]) =>
  train('--config', place.path('config.yaml'), '--latents', place.path('shards'), '--out', place.path(out), ...args)
const sample = (...args: string[]) =>
  mactok([
    'sample',
    place.path('run'),
    '--tokenizer',
    place.path('tokenizer'),
    '--device',
    device,
    '--steps',
    '2',
    ...args
  ])

const lines = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

const pixels = (file: string) => sharp(file).removeAlpha().raw().toBuffer({ resolveWithObject: true })

beforeAll(async () => {
  writeFileSync(place.path('config.yaml'), stringify(settings))
  const identity = await tokenizer('tokenizer', 0)
  await tokenizer('other', 1)
  await twoClassShards(place.path('shards'), { tokens: 4, channels: 4, tokenizer: identity })
  const { code, stderr } = await trainNew('run', '--tokenizer', place.path('tokenizer'))
  expect(stderr).toContain('24/24')
  expect(code).toBe(0)
})

describe('train generator', () => {
  test('reports its progress, and draws grids of the classes in turn', async () => {
    const { code, stdout, stderr } = await trainNew('lines', '--tokenizer', place.path('tokenizer'), '--stop-at', '12')
    expect(stderr).toMatch(/lines: steps 0 to 24 on .+ \(fp32\), 64 latents of 2 classes, .+ M parameters\n/)
    expect(stderr).toMatch(/\n12\/24 {2}loss .+ \(flow .+\) {2}.+ latents\/s {2}.+ left\n/)
    expect(stderr).toContain(`step 12: ${place.path('lines/grids/step-0000012.png')}\n`)
    expect([code, stdout]).toEqual([0, `${place.path('lines')}: step 12 of 24\n`])
    const { info } = await pixels(place.path('lines/grids/step-0000012.png'))
    expect([info.width, info.height]).toEqual([2 + 2 * 18, 2 + 3 * 18])
  })

  test('writes JSON events', async () => {
    const { code, stdout, stderr } = await trainNew('json', '--json', '--steps', '2', '--optimizer.lr', '0.001')
    expect([code, stderr]).toEqual([0, ''])
    const events = lines(stdout)
    expect(events.map(({ event }) => event)).toEqual(['start', 'step', 'step', 'checkpoint', 'end'])
    expect(events[0]).toMatchObject({ latents: 64, classes: 2, config: { optimizer: { lr: 0.001 } } })
    expect(events[1]).toMatchObject({ step: 1, skipped: 0, skippedInARow: 0, loss: { flow: expect.any(Number) } })
    expect(events.at(-1)).toEqual({ event: 'end', dir: place.path('json'), step: 2, steps: 2, interrupted: false })
  })

  test('exits 130 on SIGINT, and resumes bit-exactly without its settings being given again', async () => {
    let sent = false
    // Long enough to be stopped before its end; most of the time would go into its checkpoints and grids.
    const long = ['--steps', '400', '--checkpoint.every', '200', '--grid.every', 'none']
    const args = ['--config', place.path('config.yaml'), '--latents', place.path('shards'), ...long]
    const stopped = ['train', 'generator', ...args, '--out', place.path('cut'), '--device', device, '--json']
    const { code, stderr } = await mactok(stopped, {
      onOutput: (text, child) => {
        if (sent || !text.includes('"step":3')) return
        sent = true
        child.kill('SIGINT')
      }
    })
    expect(stderr).toMatch(/Stopped at step \d+ of 400; resume with: mactok train generator --out .+cut --resume\n/)
    expect(code).toBe(130)
    expect(Number(/Stopped at step (\d+)/.exec(stderr)?.[1])).toBeLessThan(400)
    expect((await train('--out', place.path('cut'), '--resume', '--steps', '400')).stdout).toContain('step 400 of 400')
    await trainNew('whole', ...long)
    const weights = (run: string) => readFileSync(place.path(`${run}/checkpoints/step-0000400/ema.safetensors`))
    expect(weights('cut').equals(weights('whole'))).toBe(true)
  })

  test.each<[string, () => string[], string, number]>([
    ['no latents', () => ['sit-tiny', '--out', place.path('x')], 'Expected --latents <folder>', 2],
    ['an unknown preset', () => ['sit-tinny', '--latents', 'x', '--out', 'y'], 'did you mean sit-tiny?', 2],
    ['an unknown flag', () => ['--latents', 'x', '--out', 'y', '--grid.evry', '3'], 'Did you mean --grid.every?', 2],
    [
      'a value outside its range',
      () => ['--latents', 'x', '--out', 'y', '--label-dropout', '2'],
      'Expected at most 1 for --label-dropout but received 2',
      2
    ],
    [
      'a width that the heads do not divide',
      () => ['--latents', 'x', '--out', 'y', '--generator.heads', '7'],
      'generator.heads: expected a divisor of width',
      2
    ],
    [
      'an existing run',
      () => ['--latents', place.path('shards'), '--out', place.path('run')],
      'it has one at step 24',
      2
    ],
    [
      'settings other than those of the resumed run',
      () => ['--out', place.path('run'), '--resume', '--seed', '7'],
      'seed is 0 there but 7 here',
      2
    ],
    [
      "a tokenizer's run to resume",
      () => ['--out', place.path('foreign'), '--resume'],
      'a generator\'s run for dir but received "a tokenizer\'s run"',
      2
    ],
    ['no shards', () => ['--latents', place.path('tokenizer'), '--out', place.path('x')], 'is not a latent shard', 1],
    [
      'a tokenizer other than that of the latents',
      () => [
        '--latents',
        place.path('shards'),
        '--tokenizer',
        place.path('other'),
        '--out',
        place.path('x'),
        '--grid.every',
        '5'
      ],
      'The generator was trained on the latents of another tokenizer',
      1
    ]
  ])('refuses %s', async (_, args, message, expected) => {
    await place.write('foreign/run.json', '{"kind":"tokenizer"}')
    const { code, stderr } = await train(...args())
    expect(stderr).toContain(message)
    expect(code).toBe(expected)
  })
})

test('inspect describes the run', async () => {
  const { code, stdout } = await mactok(['inspect', place.path('run')])
  expect(code).toBe(0)
  expect(stdout).toMatch(
    /run +.+run \(generator\)\nlatents +64 from .+shards\ngenerator +sit, width 16, depth 1, 2 heads\n/
  )
  const { record, checkpoint } = JSON.parse((await mactok(['inspect', place.path('run'), '--json'])).stdout)
  expect([record.kind, checkpoint.step]).toEqual(['generator', 24])
})

describe('sample', () => {
  test('writes images, a grid and an archive of classes by label and name', async () => {
    const places = ['images', 'sheets/grid.png', 'samples.npz'].map((name) => place.path(name)) as [
      string,
      string,
      string
    ]
    const [out, grid, npz] = places
    const args = ['--classes', 'right, 0', '--count', '5', '--out', out, '--grid', grid, '--npz', npz]
    const { code, stdout } = await sample(...args)
    expect([code, stdout]).toEqual([0, `${places.join(', ')}: 5 samples\n`])
    expect(readdirSync(out)).toEqual(Array.from({ length: 5 }, (_, i) => `00000${i}.png`))
    const { info } = await pixels(grid)
    expect([info.width, info.height]).toEqual([2 + 2 * 18, 2 + 3 * 18])
    expect(readFileSync(npz).subarray(0, 2).toString()).toBe('PK')
  })

  test('draws noise and class of a sample from the seed and its index alone', async () => {
    const draw = async (name: string, ...args: string[]) => {
      const { stdout } = await sample(
        '--json',
        '--seed',
        '3',
        '--guidance.scale',
        '2',
        '--out',
        place.path(name),
        ...args
      )
      const files = readdirSync(place.path(name)).sort()
      const images = files.map(async (file) => (await pixels(place.path(`${name}/${file}`))).data)
      return { ...JSON.parse(stdout), files, images: await Promise.all(images) }
    }
    const all = await draw('all', '--count', '7')
    expect(all).toMatchObject({ interrupted: false, files: expect.arrayContaining(['000000.png', '000006.png']) })
    expect(all.labels).toEqual({ 0: expect.any(Number), 1: expect.any(Number) })
    const parts = await draw('parts', '--count', '7', '--batch', '3')
    const late = await draw('late', '--count', '3', '--first-index', '4')
    const again = await draw('again', '--count', '7')
    const other = await draw('other-seed', '--count', '7', '--seed', '4')
    expect(again.images).toEqual(all.images)
    expect(other.images).not.toEqual(all.images)
    expect(parts.labels).toEqual(all.labels)
    expect(late.files).toEqual(['000004.png', '000005.png', '000006.png'])
    // Sums may round otherwise in batches of another size: one level of 255 at most.
    for (const i of all.files.keys()) expect(difference(parts.images[i], all.images[i]).max).toBeLessThanOrEqual(1)
    for (const i of late.files.keys()) {
      expect(difference(late.images[i], all.images[i + 4]).max).toBeLessThanOrEqual(1)
    }
  })

  test.each<[string, () => string[], string, number]>([
    ['no output', () => [], 'Expected --out <folder>, --grid <file> or --npz <file>', 2],
    ['an unknown class', () => ['--classes', 'rigt', '--grid', 'x.png'], 'did you mean right?', 2],
    ['a label out of range', () => ['--classes', '2', '--grid', 'x.png'], 'labels from 0 to 1 for classes', 2],
    [
      'a count of 0',
      () => ['--count', '0', '--grid', 'x.png'],
      'Expected a positive integer for --count but received 0',
      2
    ],
    ['an unknown sampler', () => ['--sampler', 'heum', '--grid', 'x.png'], 'Expected one of euler, heun', 2],
    [
      'a guidance interval that ends before it begins',
      () => ['--guidance.low', '0.9', '--guidance.high', '0.1', '--grid', 'x.png'],
      'for guidance.low',
      2
    ],
    [
      'another tokenizer',
      () => ['--tokenizer', place.path('other'), '--grid', place.path('x.png')],
      'set `force` to decode with it anyway',
      1
    ],
    [
      'a folder without a weaker generator',
      () => ['--weak', place.path('tokenizer'), '--grid', place.path('x.png')],
      'is not the configuration of a mactok generator',
      1
    ]
  ])('refuses %s', async (_, args, message, expected) => {
    const { code, stderr } = await sample(...args())
    expect(stderr).toContain(message)
    expect(code).toBe(expected)
    expect(existsSync(place.path('x.png'))).toBe(false)
  })

  test('decodes with another tokenizer if forced to', async () => {
    const { code, stdout } = await sample(
      '--tokenizer',
      place.path('other'),
      '--force',
      '--grid',
      place.path('forced.png')
    )
    expect([code, stdout]).toEqual([0, `${place.path('forced.png')}: 1 samples\n`])
  })

  test('needs a generator and a tokenizer', async () => {
    const missing = await mactok([
      'sample',
      place.path('nothing'),
      '--tokenizer',
      place.path('tokenizer'),
      '--grid',
      'x.png'
    ])
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining('holds no generator')])
    const untold = await mactok(['sample', place.path('run'), '--grid', 'x.png'])
    expect([untold.code, untold.stderr]).toEqual([2, expect.stringContaining("'--tokenizer <folder>' not specified")])
  })
})
