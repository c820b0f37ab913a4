import { describe, expect, test } from '@jest/globals'
import { configFields } from '../../lib/config.js'
import { resolveConfig, trainingPresets } from '../../lib/training/tokenizer/presets.js'
import { needsTeacher, type TrainingConfigInput, trainingSchema } from '../../lib/training/tokenizer/schema.js'

/** A call without types. */
const resolve = (input: unknown) => resolveConfig(input as TrainingConfigInput)

describe('resolveConfig', () => {
  test('has the defaults of the paper', () => {
    const config = resolveConfig({})
    expect(config.masking).toEqual({ target: 'image', min: -0.1, max: 0.7, semantic: 0.5, per: 'image' })
    expect(config.loss.weights).toEqual({
      reconstruction: 1,
      perceptual: 1,
      adversarial: 0.2,
      kl: 1e-6,
      alignment: 0.1
    })
    expect(config.optimizer).toMatchObject({ betas: [0.9, 0.95], weightDecay: 1e-4, clip: 1, final: 0.1 })
    expect(config.ema).toEqual({ decay: 0.9999, warmup: true })
    expect([config.batch, config.steps]).toEqual([256, 250_000])
  })

  test.each(Object.keys(trainingPresets))('knows preset %s', (name) => {
    const config = resolveConfig(name)
    expect(config.preset).toBe(name)
    expect(config.steps).toBe(name.startsWith('tiny') ? 5_000 : name.includes('512') ? 500_000 : 250_000)
    const dinov2 = name.startsWith('mactok-s') ? 'dinov2-small' : 'dinov2-base'
    expect(config.encoderInit).toBe(name.startsWith('tiny') ? null : dinov2)
  })

  test('lays settings over the preset that they name', () => {
    const config = resolveConfig({ preset: 'tiny-32', masking: { max: 0.5 }, tokenizer: { latentTokens: 16 } })
    expect(config.masking).toMatchObject({ max: 0.5, semantic: 0.5 })
    expect(config.tokenizer).toMatchObject({ imageSize: 32, latentTokens: 16, encoder: { width: 192 } })
    expect(config.batch).toBe(trainingPresets['tiny-32'].batch)
  })

  test.each<[unknown, ErrorConstructor, string]>([
    [{ masking: { maxx: 0.5 } }, TypeError, 'Unknown setting masking.maxx; did you mean max?'],
    [{ betas: [0.9, 0.95] }, TypeError, 'Unknown setting betas; did you mean optimizer.betas?'],
    [{ microbatch: 2 }, TypeError, 'Unknown setting microbatch; did you mean microBatch?'],
    [{ zebra: 2 }, TypeError, 'Unknown setting zebra'],
    [{ masking: { max: 1.5 } }, RangeError, 'Expected at most 1 for masking.max but received 1.5 of type number'],
    [{ batch: 0 }, RangeError, 'Expected a positive integer for batch but received 0 of type number'],
    [{ batch: 'many' }, TypeError, "Expected a positive integer for batch but received 'many' of type string"],
    [{ batch: 1.5 }, RangeError, 'Expected a positive integer for batch but received 1.5 of type number'],
    [
      { masking: { target: 'pixels' } },
      RangeError,
      "Expected one of image, latent, none for masking.target but received 'pixels'"
    ],
    [{ masking: { min: 0.9 } }, RangeError, 'masking.min: expected at most masking.max (0.7) but received 0.9'],
    [{ batch: 8, microBatch: 3 }, RangeError, 'microBatch: expected a divisor of batch (8) but received 3'],
    [
      { tokenizer: { patchSize: 7 } },
      RangeError,
      'tokenizer.patchSize: expected a divisor of imageSize (256) but received 7'
    ],
    ['tiny-23', RangeError, "did you mean tiny-32? for preset but received 'tiny-23'"],
    [null, TypeError, 'Expected an object for the configuration but received null']
  ])('refuses %j', (input, error, message) => {
    expect(() => resolve(input)).toThrow(error)
    expect(() => resolve(input)).toThrow(message)
  })

  test('needs a teacher for semantic masks or alignment alone', () => {
    const off = { local: false, global: false }
    expect(needsTeacher(resolveConfig({}))).toBe(true)
    expect(needsTeacher(resolveConfig({ masking: { semantic: 0 } }))).toBe(true)
    expect(needsTeacher(resolveConfig({ align: off }))).toBe(true)
    expect(needsTeacher(resolveConfig({ align: off, masking: { semantic: 0 } }))).toBe(false)
    expect(needsTeacher(resolveConfig({ align: off, masking: { target: 'latent' } }))).toBe(false)
  })
})

describe('configFields', () => {
  const fields = configFields(trainingSchema)

  test('lists every leaf once', () => {
    const names = fields.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toEqual(
      expect.arrayContaining(['seed', 'masking.max', 'tokenizer.encoder.width', 'loss.klAnneal.kind'])
    )
  })

  test('knows their kinds', () => {
    const field = (name: string) => fields.find((candidate) => candidate.name === name)
    expect(field('masking.target')).toMatchObject({
      kind: 'choice',
      choices: ['image', 'latent', 'none'],
      nullable: false
    })
    expect(field('optimizer.lr')).toMatchObject({ kind: 'number', nullable: true })
    expect(field('optimizer.betas')?.kind).toBe('list')
    expect(field('align.local')?.kind).toBe('boolean')
    expect(field('teacher.weights')?.kind).toBe('string')
  })

  test('describes every setting of a run', () => {
    expect(fields.filter(({ description }) => !description)).toEqual([])
  })
})
