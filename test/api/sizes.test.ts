import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { exportWeights, Generator, Teacher, Tokenizer, trainGenerator, trainTokenizer } from '../../lib/index.js'
import { Workplace } from '../support/images.js'
import { device } from '../support/native.js'
import { CASES } from '../support/paths.js'

const place = new Workplace()
const side = { width: 8, depth: 1, heads: 2 }
const tiny = { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 3, encoder: side, decoder: side }
const small = { ...side, latentShape: [4, 3], classes: 2 }

/** Sizes that would take gigabytes or hours, as a damaged `config.json` or a typing error has them. */
const tokenizers: [field: string, changes: object, message: string][] = [
  ['imageSize', { imageSize: 65_536 }, 'at most 4096 for tokenizer.imageSize but received 65536'],
  ['patchSize', { imageSize: 4_096, patchSize: 512 }, 'at most 256 for tokenizer.patchSize but received 512'],
  [
    'patches',
    { imageSize: 4_096 },
    'tokenizer.patchSize: expected at most 65536 patches of an image but received 1048576'
  ],
  ['latentTokens', { latentTokens: 1e8 }, 'at most 65536 for tokenizer.latentTokens but received 100000000'],
  ['latentChannels', { latentChannels: 1e9 }, 'at most 65536 for tokenizer.latentChannels but received 1000000000'],
  ['width', { encoder: { ...side, width: 1e9 } }, 'at most 16384 for tokenizer.encoder.width but received 1000000000'],
  ['depth', { decoder: { ...side, depth: 1e7 } }, 'at most 1000 for tokenizer.decoder.depth but received 10000000'],
  ['heads', { encoder: { ...side, heads: 1e6 } }, 'at most 1024 for tokenizer.encoder.heads but received 1000000'],
  [
    'mlpRatio',
    { encoder: { ...side, mlpRatio: 1e6 } },
    'at most 64 for tokenizer.encoder.mlpRatio but received 1000000'
  ],
  [
    'codebookSize',
    { bottleneck: 'softvq', softvq: { codebooks: 1, codebookSize: 1e9, temperature: 1, normalise: true } },
    'at most 1048576 for tokenizer.softvq.codebookSize but received 1000000000'
  ],
  [
    'all together',
    { encoder: { width: 16_384, depth: 1_000, heads: 2 } },
    'tokenizer: expected at most 22000000000 parameters but received sizes that make 2147'
  ]
]

const generators: [field: string, changes: object, message: string][] = [
  ['width', { width: 1e9 }, 'at most 16384 for generator.width but received 1000000000'],
  ['depth', { depth: 1e7 }, 'at most 1000 for generator.depth but received 10000000'],
  ['heads', { heads: 1e6 }, 'at most 1024 for generator.heads but received 1000000'],
  ['latentShape', { latentShape: [1e8, 3] }, 'at most 65536 for generator.latentShape but received 100000000'],
  [
    'patches',
    { latentShape: [3, 512, 512] },
    'generator.latentShape: expected at most 65536 patches but received 262144'
  ],
  ['classes', { classes: 1e9 }, 'at most 1000000 for generator.classes but received 1000000000'],
  ['all together', { width: 16_384, depth: 1_000 }, 'generator: expected at most 22000000000 parameters']
]

/** A folder whose `config.json` has other sizes than its weights. */
function withSizes(folder: string, kind: 'tokenizer' | 'generator', changes: object): string {
  const file = join(folder, 'config.json')
  const { sha256: _, ...config } = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...config, [kind]: { ...config[kind], ...changes } }))
  return file
}

describe('sizes that no network has are refused before memory is allocated', () => {
  beforeAll(async () => {
    using tokenizer = await Tokenizer.create(tiny, { device })
    using generator = await Generator.create(small, { device })
    for (const [name] of tokenizers) await tokenizer.save(place.path(`tokenizer ${name}`))
    for (const [name] of generators) await generator.save(place.path(`generator ${name}`))
    await tokenizer.save(place.path('other tokenizer'))
    await generator.save(place.path('other generator'))
  })

  test.each(tokenizers)("a tokenizer's: %s", async (name, changes, message) => {
    await expect(Tokenizer.create({ ...tiny, ...changes } as never, { device })).rejects.toThrow(message)
    const folder = place.path(`tokenizer ${name}`)
    const file = withSizes(folder, 'tokenizer', changes)
    const refused = { code: 'ERR_FORMAT', message: expect.stringMatching(literal(`${file}: `, message)) }
    await expect(Tokenizer.load(folder, { device })).rejects.toMatchObject(refused)
    const out = place.path('exported.safetensors')
    await expect(exportWeights(folder, { layout: 'continuous-tokenizer', out })).rejects.toMatchObject(refused)
    expect(() => trainTokenizer({ tokenizer: { ...tiny, ...changes } as never }).config).toThrow(message)
  })

  test.each(generators)("a generator's: %s", async (name, changes, message) => {
    await expect(Generator.create({ ...small, ...changes } as never, { device })).rejects.toThrow(message)
    const folder = place.path(`generator ${name}`)
    const file = withSizes(folder, 'generator', changes)
    await expect(Generator.load(folder, { device })).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringMatching(literal(`${file}: `, message))
    })
  })

  test('a training of a generator', () => {
    expect(() => trainGenerator({ generator: { width: 1e9 } }).config).toThrow('at most 16384 for generator.width')
    expect(() => trainGenerator({ batch: 1e9 }).config).toThrow('at most 65536 for batch but received 1000000000')
  })

  test('a teacher', async () => {
    const load = (options: { grid: number; patchSize?: number }) => Teacher.load('dinov2-small', { ...options, device })
    await expect(load({ grid: 65_536 })).rejects.toThrow('an integer from 1 to 256 for grid but received 65536')
    await expect(load({ grid: 4, patchSize: 1e6 })).rejects.toThrow('an integer from 1 to 256 for patchSize')
  })

  test('allowed sizes that the weights are too small for', async () => {
    const [tokenizer, generator] = [place.path('other tokenizer'), place.path('other generator')]
    const large = { ...side, width: 4_096, depth: 20 }
    const file = withSizes(tokenizer, 'tokenizer', { encoder: { ...large, mlpRatio: 4, layerScale: 1, cls: true } })
    await expect(Tokenizer.load(tokenizer, { device })).rejects.toThrow(
      literal(`${file}: expected sizes of the network in `, `${join(tokenizer, 'model.safetensors')}, which has `)
    )
    // Weights that are none say so, before anybody counts their bytes.
    const pointer = join(CASES, 'lfs-pointer.safetensors')
    const other = place.path('generator depth')
    withSizes(other, 'generator', small)
    copyFileSync(pointer, join(other, 'model.safetensors'))
    await expect(Generator.load(other, { device })).rejects.toThrow('is a Git LFS pointer')
    withSizes(generator, 'generator', large)
    await expect(Generator.load(generator, { device })).rejects.toThrow(
      /received sizes that make \d{10} parameters or more$/
    )
  })
})

/** Matches texts one after the other. */
function literal(...texts: string[]): RegExp {
  return new RegExp(texts.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*'))
}
