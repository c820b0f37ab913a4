import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { configFields, parseConfig } from '../../lib/config.js'
import { samplingSchema } from '../../lib/generator/sampling.js'
import { generatorTrainingSchema, resolveGeneratorTraining } from '../../lib/training/generator/schema.js'
import { resolveConfig } from '../../lib/training/tokenizer/presets.js'
import { trainingSchema } from '../../lib/training/tokenizer/schema.js'

const page = readFileSync(fileURLToPath(new URL('../../docs/method.md', import.meta.url)), 'utf8')

/** The rows `| name | default | origin | … |` of the tables whose first column is headed `setting of <title>`. */
const readRows = (title: string) =>
  page
    .split('\n\n')
    .filter((block) => block.startsWith(`| setting of ${title} |`))
    .flatMap((table) => [...table.matchAll(/^\| `(\S+)` \| ([^|]+) \| ([^|]+) \|/gm)])
    .map(([, name = '', value = '', origin = '']) => ({ name, value: value.trim(), origin }))

const valueAt = (config: unknown, name: string): unknown =>
  name.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], config)

/** A value as the tables write it. */
const formatValue = (value: unknown) =>
  value === null ? 'none' : Array.isArray(value) ? value.join(', ') : String(value)
const normalize = (text: string) => (Number.isNaN(Number(text)) ? text : String(Number(text)))

const schemas = { training: trainingSchema, 'generator training': generatorTrainingSchema, sampling: samplingSchema }

describe.each([
  ...Object.entries(schemas).map(([title, schema]) => ({ title, config: parseConfig(schema, {}) })),
  { title: 'lightningdit-xl', config: resolveGeneratorTraining('lightningdit-xl') },
  { title: 'tiny-64', config: resolveConfig('tiny-64') },
  { title: 'sit-tiny', config: resolveGeneratorTraining('sit-tiny') }
])('the defaults of $title in docs/method.md', ({ title, config }) => {
  const rows = readRows(title)

  test('are those of the code', () => {
    expect(rows.length).toBeGreaterThan(5)
    const written = rows.map(({ name, value }) => [name, normalize(value)])
    expect(written).toEqual(rows.map(({ name }) => [name, formatValue(valueAt(config, name))]))
  })

  test('name their origin', () => {
    for (const { origin } of rows) expect(origin).toMatch(/\[[PIO]\]/)
  })
})

test.each([
  ['training', ['tokenizer', 'masking', 'align', 'teacher', 'loss', 'discriminator', 'optimizer', 'ema']],
  ['generator training', ['flow', 'loss', 'timesteps', 'latents', 'optimizer', 'ema']],
  ['sampling', ['sampler', 'steps', 'shift', 'rtol', 'atol', 'control', 'state', 'diffusion', 'guidance']]
] as const)('docs/method.md describes every setting of %s that decides numbers', (title, groups) => {
  const fields = configFields(schemas[title]).map(({ name }) => name)
  const expected = fields.filter((name) => groups.some((group) => group === name.split('.')[0]))
  const described = readRows(title).map(({ name }) => name)
  // An absent group of an optional bottleneck has no defaults.
  expect(expected.filter((name) => !described.includes(name) && !name.startsWith('tokenizer.softvq'))).toEqual([])
})
