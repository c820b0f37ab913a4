import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { inspect } from '../../lib/report/inspect.js'
import { checkpointFolder } from '../../lib/runs/checkpoint.js'
import { findModel } from '../../lib/runs/model-folder.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { trainGenerator } from '../../lib/training/generator/training.js'
import { trainTokenizer } from '../../lib/training/tokenizer/training.js'
import { gradient, png, Workplace } from '../support/images.js'
import { twoClassShards } from '../support/latents.js'
import { device } from '../support/native.js'

const place = new Workplace()
const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }

/** Trains on a folder up to a step, in a copy of the run `start` at step 4; returns the notices. */
async function resume(name: string, data: string, options: { allowOtherData?: boolean; resume?: boolean } = {}) {
  const notices: string[] = []
  const run = place.path(name)
  if (!existsSync(run)) cpSync(place.path('start'), run, { recursive: true })
  await training(6)
    .data(place.path(data))
    .on('notice', ({ message }) => notices.push(message))
    .run({ dir: run, device, resume: true, ...options })
  return notices
}
const training = (steps: number) =>
  trainTokenizer({
    tokenizer: { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit },
    batch: 2,
    steps,
    precision: 'fp32',
    align: { local: false, global: false },
    masking: { semantic: 0 },
    optimizer: { lr: 1e-3, warmup: 2 },
    log: { every: 1 },
    checkpoint: { every: 2 }
  })
const copy = (name: string) => cpSync(place.path('start'), place.path(name), { recursive: true })
const cut = (name: string, step: number) =>
  truncateSync(join(checkpointFolder(place.path(name), step), 'model.safetensors'), 100)
const log = (name: string) => readFileSync(join(place.path(name), 'metrics.jsonl'), 'utf8')

beforeAll(async () => {
  for (let i = 0; i < 5; i++) {
    const image = await png(gradient(20, 20, i))
    if (i < 4) await place.write(`photos/${i}.png`, image)
    if (i > 0) await place.write(`others/${i}.png`, image)
    await place.write(`more/${i}.png`, image)
  }
  cpSync(place.path('photos'), place.path('moved'), { recursive: true })
  await training(4)
    .data(place.path('photos'))
    .run({ dir: place.path('start'), device })
})

describe('a resumed run', () => {
  test('refuses other data, and names places and counts', async () => {
    await expect(resume('more-run', 'more')).rejects.toThrow(
      /more-run was trained on other data: from .+photos \(images 4, heldOut 0\) before, from .+more \(images 5, heldOut 0\) now\. .+--allow-other-data/
    )
    await expect(resume('others-run', 'others')).rejects.toThrow(/others \(images 4, heldOut 0\) now, of other names/)
  })

  test('takes the same images from elsewhere', async () => {
    expect(await resume('moved-run', 'moved')).toEqual([])
  })

  test('takes other data where it is told to, and says so', async () => {
    const notices = await resume('told', 'more', { allowOtherData: true })
    expect(notices).toEqual([expect.stringMatching(/^Resuming with other data: from .+photos .+ before, from .+more /)])
  })

  test('of a generator refuses other latents of the same number', async () => {
    const [one, other] = [
      await twoClassShards(place.path('one'), { tokens: 4, channels: 3 }),
      await twoClassShards(place.path('other'), { tokens: 4, channels: 3, tokenizer: 'other' })
    ]
    const train = (latents: string, steps: number) =>
      trainGenerator({ generator: { width: 16, depth: 1, heads: 2 }, batch: 4, steps, precision: 'fp32' })
        .latents(latents)
        .run({ dir: place.path('generator'), device, resume: true })
    await train(one, 1)
    await expect(train(other, 2)).rejects.toThrow('was trained on other data')
    expect((await train(one, 2)).step).toBe(2)
  })

  test('names a damaged checkpoint that it skips, and the one that it takes', async () => {
    copy('damaged')
    cut('damaged', 4)
    const message = expect.stringMatching(
      /step-0000004 is not a complete checkpoint: model\.safetensors has 100 bytes instead of \d+/
    )
    expect(await inspect(place.path('damaged'))).toMatchObject({ checkpoint: { step: 2 }, damaged: [message] })
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const { weights } = await findModel(place.path('damaged'), 'tokenizer', true)
    expect(weights).toContain('step-0000002')
    expect(warn.mock.calls).toEqual([[message, 'DamagedCheckpoint']])
    warn.mockRestore()
    expect(await resume('damaged', 'photos')).toEqual([
      expect.stringMatching(/step-0000004 is not a complete .+ 100 bytes .+; resuming from .+step-0000002$/)
    ])
  })

  test('whose folder is removed ends with an error, and loses neither weights nor settings', async () => {
    const run = place.path('removed')
    const training_ = training(4).data(place.path('photos'))
    training_.on('step', ({ step }) => {
      if (step === 1) rmSync(run, { recursive: true })
    })
    await expect(training_.run({ dir: run, device })).rejects.toThrow(`${run} was removed, moved or locked`)
    expect(await inspect(run)).toMatchObject({ kind: 'run', checkpoint: { step: 2 } })
  })

  test('names a checkpoint with a changed bit, and resumes from the one before', async () => {
    copy('flipped')
    const model = join(checkpointFolder(place.path('flipped'), 4), 'ema.safetensors')
    const bytes = readFileSync(model)
    bytes[bytes.length - 3] = (bytes.at(-3) as number) ^ 4
    writeFileSync(model, bytes)
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
    using tokenizer = await Tokenizer.load(place.path('flipped'), { device })
    expect(warn.mock.calls).toEqual([
      [
        expect.stringMatching(/ema\.safetensors is damaged: its checksum .+; using .+step-0000002$/),
        'DamagedCheckpoint'
      ]
    ])
    warn.mockRestore()
    await expect(Tokenizer.load(dirname(model), { device })).rejects.toThrow(`${model} is damaged`)
    expect(await resume('flipped', 'photos')).toEqual([
      expect.stringMatching(/is damaged.+resuming from .+step-0000002$/)
    ])

    await tokenizer.save(place.path('saved'))
    const saved = place.path('saved/model.safetensors')
    const weights = readFileSync(saved)
    writeFileSync(saved, weights.fill(0, weights.length - 4))
    await expect(Tokenizer.load(place.path('saved'), { device })).rejects.toThrow(`${saved} is damaged`)
    const config = place.path('saved/config.json')
    const { sha256: _, ...rest } = JSON.parse(readFileSync(config, 'utf8'))
    writeFileSync(config, JSON.stringify(rest))
    // Of an older version, or written by another program.
    using loaded = await Tokenizer.load(place.path('saved'), { device })
    expect(loaded.parameters).toBe(tokenizer.parameters)
  })

  test.each(['run.json', 'grids/step-0000002.png'])('overwrites nothing that its %s leads to', async (name) => {
    const run = `linked ${name.length}`
    copy(run)
    const elsewhere = await place.write(`elsewhere/${name.length}`, 'not ours')
    const file = place.path(`${run}/${name}`)
    mkdirSync(dirname(file), { recursive: true })
    rmSync(file, { force: true })
    symlinkSync(elsewhere, file)
    await expect(resume(run, 'photos')).rejects.toThrow(`${file} is a link to a file`)
    expect(readFileSync(elsewhere, 'utf8')).toBe('not ours')
  })

  test.each<[string, (run: string) => void, string]>([
    [
      'all damaged',
      (run) => [2, 4].forEach((step) => void cut(run, step)),
      'step-0000004 is not a complete checkpoint'
    ],
    ['deleted', (run) => rmSync(join(place.path(run), 'checkpoints'), { recursive: true }), 'they were deleted'],
    ['without run.json', (run) => rmSync(join(place.path(run), 'run.json')), 'run.json is missing']
  ])('does not start again where its checkpoints are %s', async (what, damage, message) => {
    copy(what)
    damage(what)
    const before = log(what)
    for (const isResumed of [true, false]) {
      const refused = resume(what, 'photos', { resume: isResumed })
      await expect(refused).rejects.toThrow(isResumed ? message : /no complete checkpoint left|a folder without a run/)
    }
    expect(log(what)).toBe(before)
  })
})
