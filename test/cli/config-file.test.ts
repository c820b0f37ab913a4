import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { locateError, overrideSetting, readConfig } from '../../lib/cli/config-file.js'
import { mergeConfig } from '../../lib/config.js'
import { resolveConfig } from '../../lib/training/tokenizer/presets.js'
import { mactok } from '../support/cli.js'
import { Workplace } from '../support/images.js'

const place = new Workplace()
const caseOf = (name: string) => fileURLToPath(new URL(`../cases/${name}.yaml`, import.meta.url))

/** What is said about the settings of a file. */
async function complaint(yaml: string): Promise<string> {
  const file = await place.write('config.yaml', yaml)
  try {
    resolveConfig(readConfig(file))
  } catch (error) {
    return locateError(error as Error).replace(file, 'config.yaml')
  }
  return 'nothing'
}

describe('a YAML file of settings', () => {
  test.each([
    ['merge', 'merge.yaml:1: Unknown setting base'],
    ['cyc', 'cyc.yaml:2: *a refers to what contains it'],
    ['proto2', 'proto2.yaml:2: Unknown setting __proto__']
  ])('%s.yaml is refused with file and line', async (name, message) => {
    const args = ['train', 'tokenizer', 'tiny-32', '--data', 'x', '--out', place.path('x'), '--config', caseOf(name)]
    const { code, stderr } = await mactok(args)
    expect(stderr).toContain(message)
    expect(code).toBe(2)
  })

  test('merges anchored groups', async () => {
    const file = await place.write('merged.yaml', 'a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n')
    expect(readConfig(file)).toEqual({ a: { x: 1, y: 2 }, b: { x: 1, y: 3 } })
  })

  test.each([
    ['masking:\n  min: 0\n  max: 3\n', 'config.yaml:3: Expected at most 1 for masking.max but received 3'],
    ['optimizer:\n  betas: [0.9,\n    2]\n', 'config.yaml:2: Expected at most 1 for optimizer.betas but received 2'],
    ['steps: 1\noptimizer:\n  lrr: 1\n', 'config.yaml:3: Unknown setting optimizer.lrr; did you mean lr?'],
    [
      'tokenizer:\n  encoder: &a\n    width: x\n  decoder:\n    <<: *a\n',
      "config.yaml:3: Expected a positive integer for tokenizer.encoder.width but received 'x' of type string"
    ],
    ['steps: 1\nsteps: 2\n', 'Cannot read config.yaml: Map keys must be unique at line 2, column 1']
  ])('a wrong value is named with its line: %j', async (yaml, message) => {
    expect(await complaint(yaml)).toContain(message)
  })

  test.each([
    ['inspect latents', ['inspect', 'latents', 'x'], 'neighbours: -1\n', 'neighbours'],
    [
      'evaluate generation',
      ['evaluate', 'generation', 'x', '--reference', 'y'],
      'guidance:\n  low: -1\n',
      'guidance.low'
    ]
  ])('%s refuses a wrong value before it looks for models and devices', async (_, args, yaml, name) => {
    const file = await place.write('settings.yaml', yaml)
    const { code, stderr } = await mactok([...args, '--config', file, '--device', 'cuda:99'])
    expect([code, stderr.split(`for ${name} but received -1`)]).toEqual([
      2,
      [expect.stringContaining(file), expect.anything()]
    ])
  })

  test('is not blamed for what a flag says', async () => {
    overrideSetting('batch')
    expect(await complaint('batch: -1\n')).toBe('Expected a positive integer for batch but received -1 of type number')
  })
})

test('settings never lose a key __proto__ without a word', () => {
  expect(() => mergeConfig({}, JSON.parse('{"optimizer":{"__proto__":{"lr":1}}}'))).toThrow('Unknown setting __proto__')
})

test.each([
  ['brackets', '['.repeat(20_000)],
  ['closed brackets', '['.repeat(20_000) + ']'.repeat(20_000)],
  ['braces', '{a: '.repeat(20_000)],
  ['items', `${'- '.repeat(20_000)}x`],
  ['indentation', Array.from({ length: 2_000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')]
])('20,000 levels of %s are refused at once, and end no process', async (_, yaml) => {
  const file = await place.write('deep.yaml', yaml)
  expect(() => readConfig(file)).toThrow(`Cannot read ${file}: it is nested deeper than 64 levels`)
})
