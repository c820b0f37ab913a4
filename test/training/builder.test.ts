import { describe, expect, test } from '@jest/globals'
import { imageFolder } from '../../lib/data/image-folder.js'
import { trainTokenizer } from '../../lib/training/tokenizer/training.js'

/** For calls that types would refuse. */
// biome-ignore lint/suspicious/noExplicitAny: that is what they are
const untyped = (builder: unknown) => builder as any

describe('trainTokenizer', () => {
  test('lays settings over each other, the last ones on top', () => {
    const { config } = trainTokenizer('tiny-32')
      .masking({ max: 0.6, semantic: 0.25 })
      .masking({ max: 0.5 })
      .align({ global: false })
      .precision('fp32')
      .optimizer({ lr: 2e-3 })
      .loss({ weights: { kl: 1e-5 } })
      .checkpoint({ every: 10, keep: 2 })
      .evaluate({ every: 7 })
      .set({ seed: 3, batch: 32 })
    expect(config.masking).toMatchObject({ max: 0.5, semantic: 0.25, min: -0.1 })
    expect(config.align).toMatchObject({ local: true, global: false })
    expect(config).toMatchObject({ precision: 'fp32', seed: 3, batch: 32 })
    expect(config.optimizer).toMatchObject({ lr: 2e-3, warmup: 100 })
    expect(config.loss.weights).toMatchObject({ reconstruction: 1, kl: 1e-5, alignment: 0.1 })
    expect(config.checkpoint).toMatchObject({ every: 10, keep: 2 })
    expect(config.evaluation.every).toBe(7)
  })

  test('switches alignment off, and chooses the teacher', () => {
    const { align, teacher } = trainTokenizer('mactok-b-256-128')
      .align(false)
      .teacher('dinov2-small', { patchSize: 16 }).config
    expect(align).toMatchObject({ local: false, global: false })
    expect(teacher).toEqual({ weights: 'dinov2-small', patchSize: 16, cache: null, missing: 'error' })
    expect(trainTokenizer('mactok-b-256-128').teacher('auto').config.teacher.missing).toBe('skip')
    expect(trainTokenizer('mactok-b-256-128').teacher(null).config.teacher.weights).toBeNull()
  })

  test.each<[string, () => unknown, ErrorConstructor, string]>([
    ['a preset', () => trainTokenizer('tiny-33'), RangeError, 'did you mean tiny-32?'],
    ['settings', () => trainTokenizer(untyped(7)), TypeError, 'a preset or settings for settings but received 7'],
    [
      'a setting',
      () => trainTokenizer('tiny-32').set(untyped({ sead: 1 })),
      TypeError,
      'Unknown setting sead; did you mean seed?'
    ],
    [
      'a part',
      () => trainTokenizer('tiny-32').masking(untyped({ ratio: 1 })),
      TypeError,
      'Unknown setting masking.ratio'
    ],
    ['masking', () => trainTokenizer('tiny-32').masking(untyped(0.5)), TypeError, 'for masking but received 0.5'],
    [
      'a precision',
      () => trainTokenizer('tiny-32').precision(untyped('fp8')),
      RangeError,
      "for precision but received 'fp8'"
    ],
    ['data', () => trainTokenizer('tiny-32').data(untyped(7)), TypeError, 'for source but received 7'],
    [
      'held-out data',
      () => trainTokenizer('tiny-32').data('a', untyped({ heldOut: 7 })),
      TypeError,
      'for heldOut but received 7'
    ],
    [
      'an event',
      () => trainTokenizer('tiny-32').on(untyped('stop'), () => {}),
      RangeError,
      "for event but received 'stop'"
    ],
    [
      'a listener',
      () => trainTokenizer('tiny-32').on('step', untyped(null)),
      TypeError,
      'a function for listener but received null'
    ]
  ])('refuses %s', (_, build, error, message) => {
    expect(build).toThrow(error)
    expect(build).toThrow(message)
  })

  test.each<[string, Record<string, unknown>, ErrorConstructor, string]>([
    ['no folder', {}, TypeError, 'a path for dir but received undefined'],
    ['a wrong stop', { dir: 'x', stopAt: 0 }, RangeError, 'a positive integer for stopAt but received 0'],
    ['wrong steps', { dir: 'x', steps: -1 }, RangeError, 'for steps but received -1'],
    ['a wrong resume', { dir: 'x', resume: 'yes' }, TypeError, 'a boolean for resume'],
    ['a wrong signal', { dir: 'x', signal: {} }, TypeError, 'an AbortSignal for signal'],
    ['a wrong device', { dir: 'x', device: 'gpu' }, TypeError, "for device but received 'gpu'"]
  ])('refuses a run with %s', async (_, options, error, message) => {
    const run = async () => trainTokenizer('tiny-32').data(imageFolder('missing')).run(untyped(options))
    await expect(run()).rejects.toThrow(error)
    await expect(run()).rejects.toThrow(message)
  })

  test('refuses a run without data', async () => {
    await expect(async () => trainTokenizer('tiny-32').run({ dir: 'x' })).rejects.toThrow(
      'for data but received undefined'
    )
  })
})
