import { cpSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { isCollapsed } from '../../lib/ablation/measures.js'
import { drawColumn, drawTokens, markdownTable } from '../../lib/ablation/report.js'
import { runAblation } from '../../lib/ablation/run.js'
import type { AblationConfigInput } from '../../lib/ablation/schema.js'
import { type Arm, ablationTables, armsOf } from '../../lib/ablation/tables.js'
import { writePng } from '../../lib/data/image.js'
import { addon } from '../../lib/native/load.js'
import { readMetrics } from '../../lib/runs/metrics.js'
import { trainTokenizer } from '../../lib/training/tokenizer/training.js'
import { Workplace } from '../support/images.js'
import { device } from '../support/native.js'
import { describeWith, WEIGHTS } from '../support/paths.js'

describe('tables', () => {
  test('have rows with unique names and valid settings', () => {
    for (const [table, arms] of Object.entries(ablationTables) as [string, readonly Arm[]][]) {
      expect(new Set(arms.map(({ name }) => name)).size).toBe(arms.length)
      for (const arm of arms) {
        expect(() => trainTokenizer('tiny-32').set(arm.settings(100))).not.toThrow()
        if (arm.from) expect(armsOf(table, [arm.name]).map(({ name }) => name)).toEqual([arm.from, arm.name])
      }
    }
  })

  test('name an unknown table or row', () => {
    expect(() => armsOf('component')).toThrow('Expected one of components, mask-ratio')
    expect(() => armsOf('components', ['plain', 'nothing'])).toThrow(
      "Expected some of plain, random, local, semantic, global for arms but received 'nothing'"
    )
  })
})

test('collapse is dead units and the mean image, both', () => {
  expect(isCollapsed({ activeUnits: 0.01, psnr: 10.2 }, 10)).toBe(true)
  expect(isCollapsed({ activeUnits: 0.06, psnr: 10.2 }, 10)).toBe(false)
  expect(isCollapsed({ activeUnits: 0.01, psnr: 10.4 }, 10)).toBe(false)
})

describe('results', () => {
  const run = (seed: number, psnr: number) => ({
    seed,
    dir: '',
    values: { psnr, kl: 10, activeUnits: 0.5 },
    metrics: [10, 20].map((step) => ({ step, evaluation: { psnr: psnr + step, kl: 1 }, klPerToken: { 0: 1, 1: 3 } }))
  })
  const results = {
    table: 'components',
    meanImage: 12.5,
    config: { preset: 'tiny-32', steps: 20 } as Parameters<typeof markdownTable>[0]['config'],
    rows: armsOf('components').map((arm, i) => ({ arm, runs: i === 1 ? [run(0, 14), run(1, 16)] : [] }))
  }

  test('are formatted as a table of means and standard errors', () => {
    const lines = markdownTable(results).split('\n')
    expect(lines[2]).toBe('|  | KL (nats) | active units (%) | PSNR (dB) | collapsed | seeds | in the paper |')
    expect(lines[4]).toBe(
      '| + random masking | 10.0 ± 0.00 | 50.0 ± 0.0 | 15.00 ± 1.00 | no | 2 | rFID .58, gFID 6.01 |'
    )
    expect(lines.join('\n')).toContain('12.50 dB')
    expect(lines.join('\n')).toContain('4 rows have no finished run yet.')
  })

  test('are drawn as the KL per token over the steps', () => {
    expect(drawTokens(results)).toContain('KL per token')
    expect(drawTokens({ ...results, rows: [] })).toBeNull()
  })

  test('are drawn as charts with the mean image as a rule', () => {
    const column = { name: 'psnr', label: 'PSNR (dB)', show: String, unit: 'dB', scale: 1 }
    expect(drawColumn(results, column)).toContain('mean image')
    expect(drawColumn(results, { ...column, name: 'rfid' })).toBeNull()
  })
})

describe('an ablation', () => {
  const workplace = new Workplace()
  const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }
  let config: AblationConfigInput
  beforeAll(async () => {
    const photos = workplace.path('photos')
    for (const label of [0, 1]) {
      mkdirSync(join(photos, `${label}`), { recursive: true })
      for (let i = 0; i < 6; i++) {
        const noise = addon().uniform(i, 'test', label, 0, 1, 16 * 16 * 3)
        const data = Uint8Array.from(noise, (value) => label * 150 + value * 100)
        await writePng(join(photos, `${label}`, `${i}.png`), { data, width: 16, height: 16 })
      }
    }
    config = {
      settings: {
        tokenizer: { imageSize: 16, patchSize: 8, latentTokens: 4, latentChannels: 3, encoder: vit, decoder: vit },
        batch: 4,
        precision: 'fp32',
        log: { every: 2 },
        evaluation: { every: 4 },
        checkpoint: { every: 2 }
      },
      data: photos,
      heldOut: photos,
      steps: 8,
      seeds: [0, 1],
      rows: { annealing: { loss: { weights: { kl: 0.01 } } } }
    }
  })
  const arms = ['plain', 'annealing', 'latent-masking']

  test('runs, resumes bit-exactly, and writes table and plots', async () => {
    const [whole, parts] = [workplace.path('whole'), workplace.path('parts')]
    const outcome = await runAblation('collapse', config, { out: whole, arms, device })
    expect(outcome).toMatchObject({ interrupted: false, table: 'collapse' })
    expect(outcome.rows.map(({ runs }) => runs.length)).toEqual([2, 2, 2, 0, 0, 0, 0])

    const stop = new AbortController()
    const cut = await runAblation('collapse', config, {
      out: parts,
      arms,
      device,
      signal: stop.signal,
      onProgress: ({ arm, step }) => arm === 'annealing' && step?.step === 4 && stop.abort()
    })
    expect(cut).toMatchObject({ interrupted: true })
    const finished = join(parts, 'runs/plain/seed-0/measured.json')
    const { mtimeMs } = statSync(finished)
    const progress: [string, number][] = []
    await runAblation('collapse', config, {
      out: parts,
      arms,
      device,
      onProgress: ({ arm, done, total }) => {
        expect(total).toBe(48)
        progress.push([arm, done])
      }
    })
    expect(progress[0]).toEqual(['annealing', 8])
    expect(progress.at(-1)).toEqual(['latent-masking', 48])
    expect(statSync(finished).mtimeMs).toBe(mtimeMs)
    for (const file of ['table.md', 'table.csv']) {
      expect(readFileSync(join(parts, file), 'utf8')).toBe(readFileSync(join(whole, file), 'utf8'))
    }
    for (const file of ['psnr.svg', 'kl.svg', 'activeUnits.svg', 'probe.svg', 'table.json']) {
      expect(existsSync(join(whole, file))).toBe(true)
    }
    const lines = (dir: string) =>
      readMetrics(join(dir, 'runs/annealing/seed-0')).map(({ imagesPerSecond: _, ...line }) => line)
    expect(lines(parts)).toEqual(lines(whole))
    expect(lines(whole).map(({ klWeight }) => klWeight)).toEqual([
      0.01 * 0.25,
      0.01 * 0.75,
      undefined,
      0.01,
      0.01,
      undefined
    ])
  })

  test('sweeps a setting: every row with each value, a plot over the values, more values later', async () => {
    const out = workplace.path('swept')
    const sweep = { setting: 'loss.weights.kl', values: [1e-4, 1e-2] }
    const request = { ...config, seeds: [0], sweep }
    const options = { out, device, arms: ['plain', 'annealing'] }
    const { rows } = await runAblation('collapse', request, options)
    const finished = rows.filter(({ runs }) => runs.length > 0).map(({ arm }) => arm.name)
    expect(finished).toEqual(['plain@0.0001', 'plain@0.01', 'annealing@0.0001', 'annealing@0.01'])
    // The value wins over the row's own settings.
    const trained = JSON.parse(readFileSync(join(out, 'runs/annealing@0.0001/seed-0/run.json'), 'utf8'))
    expect(trained.config.loss.weights.kl).toBe(1e-4)
    const plot = readFileSync(join(out, 'activeUnits.svg'), 'utf8')
    expect(plot).toContain('>loss.weights.kl<')
    for (const label of ['>plain KL<', '>KL annealing<', '>1e-4<', '>0.01<']) expect(plot).toContain(label)

    const { mtimeMs } = statSync(join(out, 'runs/plain@0.01/seed-0/measured.json'))
    const more = { ...request, sweep: { ...sweep, values: [1e-4, 1e-3, 1e-2] } }
    await runAblation('collapse', more, { ...options, arms: ['plain'] })
    expect(existsSync(join(out, 'runs/plain@0.001/seed-0/measured.json'))).toBe(true)
    expect(statSync(join(out, 'runs/plain@0.01/seed-0/measured.json')).mtimeMs).toBe(mtimeMs)
    const other = { ...request, sweep: { ...sweep, setting: 'optimizer.lr' } }
    await expect(runAblation('collapse', other, options)).rejects.toThrow(
      'ablation.sweep is "loss.weights.kl" there but "optimizer.lr" here'
    )
    const unknown = { ...request, sweep: { ...sweep, setting: 'loss.weight.kl' } }
    await expect(runAblation('collapse', unknown, { ...options, out: workplace.path('x') })).rejects.toThrow(
      'Unknown setting loss.weight; did you mean weights?'
    )
  })

  test('refuses wrong settings, and a folder of others', async () => {
    const out = workplace.path('whole')
    await expect(runAblation('collapse', { ...config, steps: 9 }, { out, device })).rejects.toThrow(
      'ablation.steps is 8 there but 9 here'
    )
    await expect(runAblation('components', { ...config, rows: {} }, { out, device })).rejects.toThrow(
      'Expected a folder of its own'
    )
    const wrong = { ...config, rows: { nothing: {} } }
    await expect(runAblation('collapse', wrong, { out: workplace.path('x'), device })).rejects.toThrow(
      "Expected names among plain, annealing, latent-masking, mactok, random-masking, image-masking, alignment for rows but received 'nothing'"
    )
    const typo = { ...config, settings: { masking: { maximum: 1 } } }
    await expect(runAblation('collapse', typo, { out: workplace.path('x'), device })).rejects.toThrow(
      'Unknown setting masking.maximum'
    )
    expect(existsSync(workplace.path('x'))).toBe(false)
  })

  test('refuses images whose classes the measurements need, before the first run', async () => {
    const out = workplace.path('unlabelled')
    const flat = join(config.data, '0')
    for (const name of ['data', 'heldOut']) {
      await expect(runAblation('collapse', { ...config, [name]: flat }, { out, device })).rejects.toThrow(
        `Expected images with classes (or probe: null) for ${name} but received 'images without a class'`
      )
    }
    const single = workplace.path('single')
    cpSync(flat, join(single, '0'), { recursive: true })
    await expect(
      runAblation('collapse', { ...config, data: single, heldOut: single }, { out, device })
    ).rejects.toThrow('Expected images of two or more classes')
    const others = workplace.path('others')
    for (const name of ['1', '2']) cpSync(flat, join(others, name), { recursive: true })
    await expect(runAblation('collapse', { ...config, heldOut: others }, { out, device })).rejects.toThrow(
      `Expected the same labels in data and heldOut, but '1' is 1 in ${config.data} and 0 in ${others}`
    )
    expect(existsSync(out)).toBe(false)
  })

  test('fine-tunes the decoder of a finished row', async () => {
    const out = workplace.path('decoder')
    const rows = { trained: { masking: { semantic: 0 }, align: { local: false, global: false } } }
    const outcome = await runAblation(
      'decoder-finetuning',
      { ...config, rows, seeds: [0], decoderSteps: 4 },
      { out, device, arms: ['fine-tuned'] }
    )
    const [trained, tuned] = outcome.rows.map(({ runs }) => runs[0]?.values as Record<string, number>)
    expect(tuned?.kl).toBe(trained?.kl)
    expect(tuned?.psnr).not.toBe(trained?.psnr)
  })

  const inception = join(WEIGHTS, 'inception-fid')
  describeWith(inception, 'a generator of a row', () =>
    test("trains a generator on a row's latents, and measures its samples over its steps", async () => {
      const out = workplace.path('generation')
      const small = {
        preset: 'sit-tiny',
        steps: 4,
        points: 2,
        samples: 4,
        sampling: { steps: 2 },
        inception,
        precision: 'auto' as const
      }
      const settings = { generator: { width: 16, depth: 1, heads: 2 }, batch: 4 }
      const request = { ...config, seeds: [0], generation: { ...small, settings } }
      const options = { out, device, arms: ['plain'] }
      const outcome = await runAblation('collapse', request, options)
      const run = outcome.rows[0]?.runs[0]
      const curve = run?.metrics.filter(({ evaluation }) => typeof evaluation === 'object' && 'gfid' in evaluation)
      expect(curve?.map(({ step }) => step)).toEqual([2, 4])
      expect(run?.values.gfid).toBeGreaterThan(0)
      expect(curve?.at(-1)?.evaluation).toEqual({ gfid: run?.values.gfid })
      expect(readFileSync(join(out, 'gfid.svg'), 'utf8')).toContain('step of the generator')
      expect(readFileSync(join(out, 'table.md'), 'utf8')).toContain('| gFID |')

      const wrong = { ...request, generation: { ...small, settings: { batches: 4 } } }
      await expect(runAblation('collapse', wrong, options)).rejects.toThrow('Unknown setting batches')
    })
  )
})
