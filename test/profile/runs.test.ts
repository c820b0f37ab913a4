import { readFileSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { type ProfileFiles, Recording } from '../../lib/profile/recording.js'
import { readMetrics } from '../../lib/runs/metrics.js'
import { trainGenerator } from '../../lib/training/generator/training.js'
import type { TrainingConfigInput } from '../../lib/training/tokenizer/schema.js'
import { trainDecoder, trainTokenizer } from '../../lib/training/tokenizer/training.js'
import { mactok } from '../support/cli.js'
import { gradient, png, Workplace } from '../support/images.js'
import { twoClassShards } from '../support/latents.js'
import { device, native } from '../support/native.js'

const place = new Workplace()
const vit = { width: 32, depth: 2, heads: 2, layerScale: 1 }
const settings: TrainingConfigInput = {
  tokenizer: { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit },
  batch: 8,
  steps: 8,
  precision: 'fp32',
  log: { every: 4 },
  align: { local: false, global: false },
  masking: { semantic: 0 }
}
const training = (changes: TrainingConfigInput = {}) => trainTokenizer(settings).set(changes).data(place.path('photos'))

let shards: string
beforeAll(async () => {
  for (let i = 0; i < 8; i++) await place.write(`photos/${i}.png`, await png(gradient(20, 18, i * 20)))
  shards = await twoClassShards(place.path('shards'))
})

interface TraceEvent {
  ph: string
  name: string
  cat: string
  tid: number
  ts: number
  dur: number
}

async function events({ trace }: ProfileFiles): Promise<TraceEvent[]> {
  const { traceEvents } = JSON.parse(await readFile(trace, 'utf8')) as { traceEvents: TraceEvent[] }
  return traceEvents.filter(({ ph }) => ph === 'X')
}

/** Rows of a table's first block with a column of that title. */
function column(table: string, title: string): number[] {
  const lines = table.split('\n')
  const head = lines.findIndex((line) => line.startsWith(`| ${title} `))
  const block = lines.slice(head + 2)
  return block
    .slice(
      0,
      block.findIndex((line) => !line.startsWith('|'))
    )
    .map((line) => Number.parseFloat(line.split('|').at(-2) as string))
}
const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)

/** Every event ends within those that are open when it begins, and phases cover their steps. */
function requireSound(all: TraceEvent[], steps: number) {
  const open = new Map<number, TraceEvent[]>()
  for (const event of all) {
    const stack = open.get(event.tid) ?? []
    open.set(event.tid, stack)
    while (stack.length > 0 && end(stack.at(-1) as TraceEvent) <= event.ts) stack.pop()
    const outer = stack.at(-1)
    if (outer) expect(end(event)).toBeLessThanOrEqual(end(outer))
    stack.push(event)
  }
  const found = all.filter(({ cat }) => cat === 'step')
  expect(found).toHaveLength(steps)
  for (const step of found) {
    const phases = all.filter(({ cat, ts }) => cat === 'phase' && ts >= step.ts && ts < end(step))
    const outermost = phases.filter(
      (one) => !phases.some((other) => other !== one && other.ts <= one.ts && end(other) >= end(one))
    )
    expect(sum(outermost.map(({ dur }) => dur)) / step.dur).toBeGreaterThan(0.95)
  }
}
const end = ({ ts, dur }: TraceEvent) => ts + dur

const losses = (dir: string) =>
  readMetrics(place.path(dir)).map(({ step, loss, gradNorm }) => ({ step, loss, gradNorm }))

describe('a profiled run', () => {
  let files: ProfileFiles
  beforeAll(async () => {
    await training({ steps: 8 })
      .profile({ steps: 3, after: 2 })
      .on('profile', (event) => {
        files = event
      })
      .run({ dir: place.path('profiled'), device })
  })

  test('writes a trace whose events are nested and whose phases cover the steps', async () => {
    const all = await events(files)
    requireSound(all, 3)
    expect(new Set(all.filter(({ cat }) => cat === 'phase').map(({ name }) => name))).toEqual(
      new Set([
        'data wait',
        'inputs',
        'teacher',
        'masks',
        'encoder',
        'decoder',
        'losses',
        'backward',
        'optimiser',
        'EMA',
        'metrics'
      ])
    )
    const names = new Set(all.map(({ name }) => name))
    for (const name of ['aten::addmm', 'AddmmBackward0']) expect(names).toContain(name)
  })

  test('writes tables that add up to the whole', async () => {
    const table = await readFile(files.table, 'utf8')
    expect(table).toContain(`Steps 3 to 5 on ${device}`)
    const phases = column(table, 'phase')
    expect(Math.abs(sum(phases) - 100)).toBeLessThan(0.05 * phases.length + 1e-6)
    for (const name of ['encoder', 'backward']) expect(table).toContain(`\n## ${name}\n`)
    expect(files.text.length).toBeLessThan(table.length)
    expect(table.startsWith(files.text.split('\n| operation')[0] as string)).toBe(true)
  })

  test('lists operations whose self times are the whole step', async () => {
    const all = await events(files)
    const stepsThread = all.find(({ cat }) => cat === 'step')?.tid
    const alone = all.every(({ tid }) => tid === stepsThread)
    const shares = column(await readFile(files.table, 'utf8'), 'operation')
    expect(sum(shares)).toBeGreaterThan(100 - 0.05 * shares.length)
    // Threads of autograd, where there are any, come on top.
    if (alone) expect(sum(shares)).toBeLessThan(100 + 0.05 * shares.length)
  })

  test('computes the same as an unprofiled one', async () => {
    await training({ steps: 8 }).run({ dir: place.path('plain'), device })
    expect(losses('profiled')).toEqual(losses('plain'))
    expect(losses('plain')).toHaveLength(2)
  })

  test('works for a decoder', async () => {
    let found: ProfileFiles | undefined
    await (await trainDecoder(place.path('profiled')))
      .set({ steps: 4 })
      .data(place.path('photos'))
      .profile({ steps: 1, after: 1 })
      .on('profile', (event) => {
        found = event
      })
      .run({ dir: place.path('decoder'), device })
    requireSound(await events(found as ProfileFiles), 1)
  })

  test('works for a generator, and computes the same', async () => {
    const generator = () =>
      trainGenerator({
        generator: { width: 32, depth: 2, heads: 2 },
        steps: 8,
        batch: 16,
        precision: 'fp32',
        log: { every: 4 }
      }).latents(shards)
    let found: ProfileFiles | undefined
    await generator()
      .profile()
      .on('profile', (event) => {
        found = event
      })
      .run({ dir: place.path('generator'), device })
    const all = await events(found as ProfileFiles)
    requireSound(all, 5)
    expect(new Set(all.filter(({ cat }) => cat === 'phase').map(({ name }) => name))).toEqual(
      new Set(['data wait', 'inputs', 'network', 'losses', 'backward', 'optimiser', 'EMA', 'metrics'])
    )
    await generator().run({ dir: place.path('generator-plain'), device })
    expect(losses('generator')).toEqual(losses('generator-plain'))
  })
})

describe('a run that is short', () => {
  const short = async (dir: string, options: object, profile = {}) => {
    const notices: string[] = []
    const tables: string[] = []
    await training({ steps: 6 })
      .profile(profile)
      .on('notice', ({ message }) => notices.push(message))
      .on('profile', ({ table }) => tables.push(readFileSync(table, 'utf8')))
      .run({ dir: place.path(dir), device, ...options })
    return { notices: notices.filter((notice) => /profil/i.test(notice)), tables }
  }

  test('is profiled as far as it goes, with a notice', async () => {
    const { notices, tables } = await short('six', {})
    expect(notices).toEqual(['Only 6 steps left: profiling 3 after 3 of warm-up'])
    expect(tables[0]).toContain('Steps 4 to 6 on')
    expect(await short('six', { resume: true })).toEqual({
      notices: ['Nothing is profiled: no steps are left'],
      tables: []
    })
  })

  test('is profiled even with a single step', async () => {
    const { notices, tables } = await short('one', { stopAt: 1 })
    expect(notices).toEqual(['Only 1 step left: profiling 1 after 0 of warm-up'])
    expect(tables[0]).toContain('Steps 1 to 1 on')
  })

  test('reports an interruption', async () => {
    const aborted = new AbortController()
    aborted.abort()
    const { notices, tables } = await short('aborted', { signal: aborted.signal }, { steps: 2, after: 1 })
    expect(notices).toEqual(['Nothing is profiled: the run ended before step 2'])
    expect(tables).toEqual([])
  })

  test('continues unprofiled while another profile is being taken', async () => {
    await native().startProfile(device)
    const { notices } = await short('second', {}, { steps: 2, after: 1 })
    const { names } = await native().stopProfile(device)
    expect(notices).toEqual(['Nothing is profiled: A profile is already being recorded'])
    expect(names).toContain('step')
    await expect(native().stopProfile(device)).rejects.toThrow('No profile is being recorded')
  })
})

describe('a profile that is lost', () => {
  test('does not end the training when it cannot be written', async () => {
    const [notices, tables]: [string[], string[]] = [[], []]
    const dir = place.path('blocked')
    const { step } = await training({ steps: 4 })
      .profile({ steps: 1, after: 1 })
      .on('start', () => writeFileSync(join(dir, 'profile'), ''))
      .on('notice', ({ message }) => notices.push(message))
      .on('profile', ({ table }) => tables.push(table))
      .run({ dir, device })
    expect(step).toBe(4)
    expect(tables).toEqual([])
    expect(notices.filter((notice) => notice.startsWith('The profile was not written: '))).toHaveLength(1)
  })

  test('does not hide the error of a step', async () => {
    const notices: string[] = []
    const recording = new Recording(
      { steps: 1, after: 0 },
      {
        start: 0,
        stop: 1,
        device,
        dir: place.path('lost'),
        done: () => {},
        notice: (message) => notices.push(message)
      }
    )
    const step = recording.step(0, async () => {
      await native().stopProfile(device)
      throw new Error('the step failed')
    })
    await expect(step.finally(() => recording.end())).rejects.toThrow('the step failed')
    expect(notices).toEqual(['The profile was not written: No profile is being recorded'])
  })
})

describe('wrong arguments', () => {
  test.each<[unknown, ErrorConstructor, string]>([
    [{ steps: 0 }, RangeError, 'profile.steps'],
    [{ steps: 101 }, RangeError, 'profile.steps'],
    [{ after: -1 }, RangeError, 'profile.after'],
    [{ steps: '5' }, TypeError, 'profile.steps'],
    [{ step: 5 }, TypeError, 'Unknown setting profile.step'],
    [7, TypeError, 'profile']
  ])('%j is refused', (profile, error, message) => {
    for (const builder of [training(), trainGenerator('sit-tiny')]) {
      expect(() => builder.profile(profile as object)).toThrow(error)
      expect(() => builder.profile(profile as object)).toThrow(message)
    }
  })

  test.each(['0', 'x', '101'])('--profile %s ends with code 2', async (steps) => {
    const { code, stderr } = await mactok([
      'train',
      'tokenizer',
      'tiny-32',
      '--data',
      place.path('photos'),
      '--out',
      place.path('never'),
      `--profile=${steps}`
    ])
    expect(stderr).toMatch(/profile/)
    expect(code).toBe(2)
  })
})

test('the command prints the table, or writes it as JSON', async () => {
  await place.write('config.json', JSON.stringify(settings))
  const train = (out: string, ...args: string[]) =>
    mactok([
      'train',
      'tokenizer',
      '--config',
      place.path('config.json'),
      '--data',
      place.path('photos'),
      '--out',
      place.path(out),
      '--device',
      device,
      '--steps',
      '6',
      '--profile',
      ...args
    ])
  const shown = await train('shown', '2')
  expect(shown.code).toBe(0)
  expect(shown.stdout + shown.stderr).toMatch(/\| phase +\| +ms \| +share \|/)
  expect(shown.stdout + shown.stderr).toContain(place.path('shown/profile/trace.json'))
  const { stdout } = await train('json', '2', '--json')
  const reported = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .find(({ event }) => event === 'profile')
  expect(reported).toMatchObject({ trace: place.path('json/profile/trace.json') })
})
