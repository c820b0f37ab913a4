import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { encodeImages, imageFolder, Tokenizer } from '../../lib/index.js'
import { compareRuns } from '../../lib/report/compare.js'
import { trainingClock } from '../../lib/report/curves.js'
import { distinctNames } from '../../lib/report/entries.js'
import { writeReport } from '../../lib/report/report.js'
import { type MetricsRecord, readMetrics } from '../../lib/runs/metrics.js'
import { trainGenerator } from '../../lib/training/generator/training.js'
import { trainTokenizer } from '../../lib/training/tokenizer/training.js'
import { mactok } from '../support/cli.js'
import { gradient, png, Workplace } from '../support/images.js'
import { device } from '../support/native.js'

const place = new Workplace()
const vit = { width: 8, depth: 1, heads: 2, layerScale: 1 }

async function train(dir: string, seed: number, latentTokens: number): Promise<void> {
  await trainTokenizer({
    tokenizer: { imageSize: 16, patchSize: 8, latentTokens, latentChannels: 2, encoder: vit, decoder: vit },
    encoderInit: null,
    batch: 2,
    steps: 2,
    seed,
    precision: 'fp32',
    grid: { every: null },
    align: { local: false, global: false },
    masking: { max: 0.6, semantic: 0 },
    loss: { perceptual: { weights: null } },
    discriminator: { weights: null },
    log: { every: 1 },
    evaluation: { every: 1 }
  })
    .data(place.path('photos'), { heldOut: place.path('photos') })
    .run({ dir: place.path(dir), device })
}

const embedded = (page: string, id: string) =>
  JSON.parse(new RegExp(`<script type="application/json" id="${id}">(.*)</script>`).exec(page)?.[1] as string)

beforeAll(async () => {
  for (let i = 0; i < 3; i++) await place.write(`photos/${i}.png`, await png(gradient(16, 16, 80 * i)))
  await train('few', 0, 2)
  await train('many', 0, 4)
  await train('ablation/runs/plain/seed-0', 0, 2)
  await train('ablation/runs/plain/seed-1', 1, 2)
  cpSync(place.path('many'), place.path('ablation/runs/masked/seed-0'), { recursive: true })
})

describe('a comparison of tokenizers', () => {
  test('shows settings that differ, curves, the same images, latents and quality by latent size', async () => {
    writeFileSync(place.path('few/evaluation.json'), '{"psnr":20,"rfid":31}')
    writeFileSync(place.path('many/evaluation.json'), '{"psnr":22}')
    const out = place.path('tokenizers.html')
    const comparison = await compareRuns([place.path('few'), place.path('many')], { out, device, count: 2, latents: 3 })
    expect(comparison).toMatchObject({ file: out, kind: 'tokenizer', missing: [] })
    const [few, many] = comparison.runs
    expect([few?.name, many?.name]).toEqual(['few', 'many'])
    expect([few?.latentShape, many?.latentShape]).toEqual([
      [2, 2],
      [4, 2]
    ])
    expect(many).toMatchObject({ step: 2, latents: { images: 3 }, evaluations: { evaluation: { psnr: { mean: 22 } } } })
    expect(many?.latents?.klPerToken).toHaveLength(4)
    expect(comparison.settings).toEqual([
      expect.objectContaining({ name: 'tokenizer.latentTokens', values: { few: '2', many: '4' } })
    ])
    const psnr = comparison.curves['evaluation/psnr']
    expect(psnr?.map(({ run, steps }) => [run, steps])).toEqual([
      ['few', [1, 2]],
      ['many', [1, 2]]
    ])
    expect(psnr?.[0]?.seconds?.at(-1)).toBeCloseTo(few?.seconds as number)

    const page = readFileSync(out, 'utf8')
    expect(Buffer.byteLength(page)).toBe(comparison.bytes)
    for (const heading of ['Settings that differ', 'Curves', 'Metrics', 'Reconstructions', 'Latents', 'By latent size'])
      expect(page).toContain(`<h2>${heading}</h2>`)
    // Originals and two runs, whole and masked.
    expect(page.match(/src="data:image\/webp/g)).toHaveLength(6)
    expect(embedded(page, 'series')).toEqual(JSON.parse(JSON.stringify(comparison.curves)))
    expect(embedded(page, 'strokes')[1]).toEqual({ name: 'many', colour: '#d55e00', dash: '' })
    expect(page.match(/(src|href)="(?!data:)[^"]*"/g)).toBeNull()
  })

  test("shows an ablation's arms as means over seeds with standard errors", async () => {
    const arm = (seed: number) => place.path(`ablation/runs/plain/seed-${seed}`)
    writeFileSync(join(arm(0), 'measured.json'), '{"psnr":20}')
    writeFileSync(join(arm(1), 'measured.json'), '{"psnr":24}')
    writeFileSync(join(arm(0), 'generation.json'), '[{"step":10,"evaluation":{"gfid":100}}]')
    writeFileSync(join(arm(1), 'generation.json'), '[{"step":10,"evaluation":{"gfid":90}}]')
    const lines = readFileSync(join(arm(1), 'metrics.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
    writeFileSync(join(arm(1), 'metrics.jsonl'), `${lines.filter((line) => !/"step":2,"eval/.test(line)).join('\n')}\n`)
    const out = place.path('arms.html')
    const { runs, curves, missing } = await compareRuns([place.path('ablation')], { out, device, data: null })
    expect(missing).toEqual([])
    expect(runs.map(({ name, dirs }) => [name, dirs.length])).toEqual([
      ['masked', 1],
      ['plain', 2]
    ])
    expect(runs[1]?.evaluations.measured).toEqual({ psnr: { mean: 22, error: 2 } })
    // Seed 1 is behind: both evaluated step 1.
    const psnr = (seed: number) =>
      readMetrics(arm(seed)).find(({ step, evaluation }) => step === 1 && evaluation)?.evaluation
    const both = [0, 1].map((seed) => (psnr(seed) as { psnr: number }).psnr)
    expect(runs[1]?.evaluations['in training']?.psnr?.mean).toBeCloseTo(((both[0] as number) + (both[1] as number)) / 2)
    expect(runs[1]?.latents).toBeNull()
    expect(curves['loss/total']?.map(({ run, errors }) => [run, errors?.length])).toEqual([
      ['masked', undefined],
      ['plain', 2]
    ])
    expect(curves['generation/gfid']).toEqual([{ run: 'plain', steps: [10], seconds: null, values: [95], errors: [5] }])
    expect(readFileSync(out, 'utf8')).toContain('22 ± 2')
  })

  test('reads logs of more lines than a call takes arguments', async () => {
    const long = place.path('long')
    cpSync(place.path('few'), long, { recursive: true })
    const lines = Array.from({ length: 200_000 }, (_, step) => `{"step":${step + 3}}\n`)
    writeFileSync(join(long, 'metrics.jsonl'), lines.join(''), { flag: 'a' })
    const out = place.path('long.html')
    const { runs } = await compareRuns([long, place.path('many')], { out, device, data: null })
    expect(runs[0]?.step).toBe(200_002)
  })

  test('says which images are missing', async () => {
    const { missing } = await compareRuns([place.path('few'), place.path('many')], {
      out: place.path('none.html'),
      data: place.path('gone'),
      device
    })
    expect(missing).toEqual(['few', 'many'].map((name) => expect.stringMatching(`images of ${name}: There is neither`)))
  })
})

describe('a comparison of generators', () => {
  beforeAll(async () => {
    using tokenizer = await Tokenizer.load(place.path('few'), { device })
    await encodeImages(tokenizer, imageFolder(place.path('photos')), place.path('latents'))
    for (const depth of [1, 2]) {
      await trainGenerator({ generator: { width: 8, depth, heads: 2 }, batch: 2, steps: 2, log: { every: 1 } })
        .latents(place.path('latents'), { tokenizer: place.path('few') })
        .run({ dir: place.path(`sit-${depth}`), device })
    }
  })

  test("names metrics of the training's and of later evaluations alike", async () => {
    const run = place.path('measured')
    cpSync(place.path('sit-1'), run, { recursive: true })
    writeFileSync(join(run, 'evaluation.json'), '{"fid":12,"is":3,"kdDinov2":1}')
    writeFileSync(join(run, 'metrics.jsonl'), '{"step":2,"evaluation":{"gfid":20,"gis":2}}\n', { flag: 'a' })
    const { runs } = await compareRuns([run, place.path('sit-2')], { out: place.path('x.html'), device, count: 1 })
    expect(Object.keys(runs[0]?.evaluations.evaluation ?? {})).toEqual(['gfid', 'gis', 'gkdDinov2'])
    expect(Object.keys(runs[0]?.evaluations['in training'] ?? {})).toEqual(['gfid', 'gis'])
    const { file } = await writeReport(run, { device })
    expect(readFileSync(file, 'utf8')).toMatch(/<td>gFID<\/td><td class="number">12<\/td><td class="number">20<\/td>/)
  })

  test('shows samples of the same noise', async () => {
    const out = place.path('generators.html')
    const { runs, missing } = await compareRuns([place.path('sit-1'), place.path('sit-2')], {
      out,
      device,
      count: 2,
      steps: 2
    })
    expect(missing).toEqual([])
    expect(runs.map(({ name, latentShape }) => [name, latentShape])).toEqual([
      ['sit-1', [2, 2]],
      ['sit-2', [2, 2]]
    ])
    const page = readFileSync(out, 'utf8')
    expect(page.match(/src="data:image\/webp/g)).toHaveLength(2)
    expect(page).toContain('latents per second')
  })

  test('is refused beside a tokenizer', async () => {
    await expect(compareRuns([place.path('few'), place.path('sit-1')])).rejects.toThrow(
      "Expected runs of one kind, tokenizers or generators for runs but received 'few (tokenizer), sit-1 (generator)'"
    )
  })
})

describe('wrong arguments', () => {
  test('are refused by name', async () => {
    const few = place.path('few')
    mkdirSync(place.path('empty'))
    cpSync(few, place.path('unlogged'), { recursive: true })
    writeFileSync(place.path('unlogged/metrics.jsonl'), '')
    await expect(compareRuns('few' as never)).rejects.toThrow("Expected an array of paths for runs but received 'few'")
    await expect(compareRuns([few])).rejects.toThrow('Expected two or more runs for runs')
    await expect(compareRuns([few, `${few}/`])).rejects.toThrow('Expected each run once for runs')
    await expect(compareRuns([few, place.path('empty')])).rejects.toThrow(`There is no run in ${place.path('empty')}`)
    await expect(compareRuns([few, place.path('unlogged')])).rejects.toThrow('has no metrics yet')
    await expect(compareRuns([few, few], { ration: 1 } as never)).rejects.toThrow('did you mean ratio?')
    await expect(compareRuns([few, place.path('many')], { device: 'gpu' })).rejects.toThrow(
      "Expected auto, cpu, cuda, cuda:<index> or mps for device but received 'gpu'"
    )
  })

  test('are refused on the command line', async () => {
    expect((await mactok(['compare'])).code).toBe(2)
    expect(await mactok(['compare', place.path('few')])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Expected two or more runs')
    })
  })
})

test('names are the parts of paths that differ', () => {
  expect(distinctNames(['/runs/a', '/runs/b'])).toEqual(['a', 'b'])
  expect(distinctNames(['/x/plain/seed-0/generator', '/x/full/seed-0/generator'])).toEqual(['plain', 'full'])
  expect(distinctNames(['/x/plain/seed-0', '/x/full/seed-1'])).toEqual(['plain/seed-0', 'full/seed-1'])
  expect(distinctNames(['/x/a', '/x/a/b'])).toEqual(['a', 'a/b'])
})

test('training time follows from the logged rates', () => {
  const lines: MetricsRecord[] = [
    { step: 10, imagesPerSecond: 5 },
    { step: 15, evaluation: { psnr: 1 } },
    { step: 20, imagesPerSecond: 10 }
  ]
  const clock = trainingClock(lines, 4)
  expect([0, 5, 10, 15, 20, 30].map(clock)).toEqual([0, 4, 8, 10, 12, 12])
})
