import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { findGenerator } from '../../lib/generator/folder.js'
import { Generator } from '../../lib/generator/generator.js'
import { type ExportLayout, exportWeights } from '../../lib/interchange/export.js'
import { importWeights } from '../../lib/interchange/import.js'
import type { ImportOptions } from '../../lib/interchange/import-schema.js'
import { torchFile } from '../../lib/latents/torch-file.js'
import { Tensor } from '../../lib/tensor/tensor.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { readSafetensors } from '../../lib/weights/reader.js'
import { writeSafetensors } from '../../lib/weights/writer.js'
import { GOLDEN, Golden, relativeError } from '../support/golden.js'
import { device, native, tensor } from '../support/native.js'
import type { TestingGenerator } from '../support/testing-addon.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mactok-import-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

type Values = Record<string, { dtype: string; shape: number[]; data: ArrayBufferView }>

async function write(name: string, weights: Values, metadata: Record<string, string> = {}): Promise<string> {
  const file = path.join(folder, `${name}.safetensors`)
  const tensors = Object.entries(weights).map(([key, { dtype, shape, data }]) => {
    return { name: key, dtype: dtype as 'float32', shape, data }
  })
  await writeSafetensors(file, tensors, metadata)
  return file
}

/** A golden's weights as the checkpoint that they were: the original implementations', at tiny size. */
const checkpoint = (golden: Golden, name: string, more: Values = {}): Promise<string> =>
  write(name, { ...(golden.under('w.') as Values), ...more })

const projectors = { 'projectors.0.0.weight': { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) } }

const tensorOf = (golden: Golden, key: string): Tensor<'float32'> => Tensor.wrap(tensor(golden.get(key)))

/** What an imported generator predicts for a golden's input, by the network alone. */
async function predict(generator: Generator, golden: Golden): Promise<Float32Array> {
  const [x, t] = [tensorOf(golden, 'x'), tensorOf(golden, 't')]
  const y = tensor(golden.get('y'))
  const network = generator.native as TestingGenerator
  const output = await network.predict(x.native, t.native, y, 'fp32')
  return new Float32Array(await output.read())
}

/** The tensors of a file, as bytes with their shape. */
async function contents(file: string): Promise<Record<string, { shape: readonly number[]; bytes: Uint8Array }>> {
  await using opened = await readSafetensors(file)
  const all = await Promise.all(
    opened.names().map(async (name) => {
      return [name, { shape: opened.info(name).shape, bytes: await opened.bytes(name) }] as const
    })
  )
  return Object.fromEntries(all)
}

const heads = { heads: 4 }
const generators: [string, ExportLayout, Partial<ImportOptions>, object][] = [
  ['sit_2d', 'sit', heads, { model: 'sit', latentShape: [4, 8, 8], patchSize: 2, learnSigma: false }],
  ['sit_2d_learn_sigma', 'sit', heads, { model: 'sit', latentShape: [4, 8, 8], learnSigma: true }],
  ['sit_1d', 'sit', heads, { latentShape: [12, 8], patchSize: 1, flow: { time: 'data_at_0' } }],
  ['lightning_dit_2d', 'lightningdit', heads, { model: 'lightning-dit', latentShape: [8, 8, 8], patchSize: 1 }],
  ['lightning_dit_2d_qknorm', 'lightningdit', {}, { qkNorm: true, shift: true }],
  ['lightning_dit_2d_wo_shift', 'lightningdit', {}, { qkNorm: true, shift: false }]
]

describe.each(generators)('%s', (name, layout, options, expected) => {
  const golden = new Golden(name)
  const out = () => path.join(folder, name)

  test('becomes a generator with the same outputs', async () => {
    const imported = await importWeights(await checkpoint(golden, `${name}-in`), { out: out(), ...options })
    expect(imported).toMatchObject({ kind: 'generator', layout, group: '', ignored: [], filled: [] })
    using generator = await Generator.load(out(), { device })
    expect(generator.config).toMatchObject({ width: 48, depth: 3, heads: 4, classes: 10, mlpRatio: 4, ...expected })
    expect(relativeError(await predict(generator, golden), golden.floats('output'))).toBeLessThan(1e-5)
  })

  test('is exported with the same names, shapes and values', async () => {
    const file = path.join(folder, `${name}-out.safetensors`)
    const exported = await exportWeights(out(), { layout, out: file })
    const [was, is] = [await contents(path.join(folder, `${name}-in.safetensors`)), await contents(file)]
    expect(Object.keys(is).sort()).toEqual(Object.keys(was).sort())
    const computed = new Set(exported.filled)
    expect([...computed].every((key) => key.startsWith('feat_rope.'))).toBe(true)
    for (const [key, { shape, bytes }] of Object.entries(was)) {
      expect([key, is[key]?.shape]).toEqual([key, shape])
      if (!computed.has(key)) expect([key, is[key]?.bytes]).toEqual([key, bytes])
      // PyTorch computes angles in float32.
      else {
        const values = new Float32Array((is[key] as { bytes: Uint8Array }).bytes.buffer)
        expect(relativeError(values, new Float32Array(bytes.buffer))).toBeLessThan(1e-6)
      }
    }
    const again = path.join(folder, `${name}-again`)
    await importWeights(file, { out: again }) // heads and time stand in the metadata
    expect((await findGenerator(again)).config).toEqual((await findGenerator(out())).config)
  })
})

test("what REPA's training adds is reported, and kept on request", async () => {
  const golden = new Golden('sit_2d')
  const source = await checkpoint(golden, 'repa', projectors)
  const dropped = await importWeights(source, { out: path.join(folder, 'repa-a'), heads: 4 })
  expect(dropped).toMatchObject({ layout: 'repa', ignored: ['projectors.0.0.weight'] })
  const out = path.join(folder, 'repa-b')
  await importWeights(source, { out, heads: 4, keep: true })
  // REPA's time runs from data to noise, and it multiplies Stable Diffusion's latents by 0.18215.
  const { config, statistics } = await findGenerator(out)
  expect(config.flow.time).toBe('data_at_0')
  expect(statistics?.std[0]).toBeCloseTo(1 / 0.18215, 5)
  const file = path.join(folder, 'repa-out.safetensors')
  await exportWeights(out, { layout: 'repa', out: file })
  expect(await contents(file)).toEqual(await contents(source))
  await exportWeights(out, { layout: 'sit', out: file })
  expect(Object.keys(await contents(file))).not.toContain('projectors.0.0.weight')
})

test('weights that are not finite are neither imported nor exported, but unused ones are kept as they are', async () => {
  const golden = new Golden('sit_2d')
  const [damaged] = Object.keys(golden.under('w.')).filter((name) => name.endsWith('.weight')) as [string]
  const { dtype, shape, data } = (golden.under('w.') as Values)[damaged] as Values[string]
  const values = Float32Array.from(data as Float32Array)
  values[1] = Number.NaN
  const source = await checkpoint(golden, 'nan-in', { [damaged]: { dtype, shape, data: values } })
  const out = path.join(folder, 'nan-out')
  const message = (file: string) => `Tensor "${damaged}" of ${file} has values that are not finite (NaN or infinite)`
  await expect(importWeights(source, { out, heads: 4 })).rejects.toMatchObject({
    code: 'ERR_FORMAT',
    message: message(source)
  })
  await expect(readdir(out)).resolves.toEqual([])

  const unused = { 'projectors.0.0.weight': { dtype, shape: [2], data: Float32Array.of(1, Number.NaN) } }
  await importWeights(await checkpoint(golden, 'nan-unused', unused), { out, heads: 4, keep: true })
  const file = path.join(folder, 'nan-exported.safetensors')
  await exportWeights(out, { layout: 'repa', out: file })
  expect((await contents(file))['projectors.0.0.weight']?.bytes).toEqual(new Uint8Array(Float32Array.of(1, NaN).buffer))

  const weights = path.join(out, 'model.safetensors')
  const bytes = await readFile(weights)
  bytes.writeFloatLE(Number.POSITIVE_INFINITY, bytes.length - 4)
  await writeFile(weights, bytes)
  const config = path.join(out, 'config.json')
  const { sha256: _, ...unchecked } = JSON.parse(await readFile(config, 'utf8'))
  await writeFile(config, JSON.stringify(unchecked))
  await expect(exportWeights(out, { layout: 'sit', out: file })).rejects.toThrow(
    new RegExp(`^Tensor "[^"]+" of ${weights} has values that are not finite`)
  )
})

test('an imported network with the opposite direction of time gives the negated velocity at 1 − t', async () => {
  const golden = new Golden('sit_1d')
  const out = path.join(folder, 'sit_1d')
  using generator = await Generator.load(out, { device })
  const diffusion = { form: 'sigma', norm: 1, lastStep: 'mean', lastStepSize: 0.04 } as const
  const y = tensor(golden.get('y'))
  const t = golden.floats('t')[0] as number
  const field = await native().flowField(
    generator.native,
    generator.config.flow,
    diffusion,
    tensorOf(golden, 'x').native,
    y,
    1 - t
  )
  const velocity = new Float32Array(await field.velocity.read()).subarray(0, 96)
  expect(
    relativeError(
      velocity.map((value) => -value),
      golden.floats('output').subarray(0, 96)
    )
  ).toBeLessThan(1e-5)
})

// Random weights in the projects' layouts: test/golden/torch_files.py.
describe('checkpoints of torch.save', () => {
  const place = (name: string) => path.join(GOLDEN, 'torch', `${name}.pt`)

  test("SiT's: averaged weights, and the path from its arguments", async () => {
    const out = path.join(folder, 'pt-sit')
    const imported = await importWeights(place('sit'), { out, heads: 2 })
    expect(imported).toMatchObject({ layout: 'sit', group: 'ema', ignored: [] })
    const { config, statistics } = await findGenerator(out)
    const flow = { path: 'gvp', prediction: 'velocity', time: 'data_at_1' }
    expect(config).toMatchObject({ latentShape: [4, 4, 4], patchSize: 2, depth: 3, classes: 3, learnSigma: true, flow })
    expect(statistics?.std[0]).toBeCloseTo(1 / 0.18215, 5)
    const zeros = await importWeights(place('sit'), { out: path.join(folder, 'pt-model'), heads: 2, group: 'model' })
    expect(zeros.group).toBe('model')
    const written = await contents(path.join(folder, 'pt-model', 'model.safetensors'))
    expect(written.pos_embed?.bytes.every((byte) => byte === 0)).toBe(true)
  })

  test("REPA's: time and path the other way, and the first version's blocks renumbered", async () => {
    const out = path.join(folder, 'pt-repa')
    const imported = await importWeights(place('repa'), { out, heads: 2 })
    expect(imported).toMatchObject({ layout: 'repa', group: 'ema', ignored: ['projectors.0.0.weight'] })
    const flow = { path: 'gvp', prediction: 'velocity', time: 'data_at_0' }
    expect((await findGenerator(out)).config).toMatchObject({ depth: 3, learnSigma: false, flow })
  })

  test("LightningDiT's: sampling and the latents' factor from its configuration", async () => {
    const out = path.join(folder, 'pt-dit')
    const json = path.join(folder, 'dit-stats.json')
    await writeFile(json, JSON.stringify({ mean: [0, 1, 2, 3], std: [1, 1, 2, 2] }))
    const imported = await importWeights(place('lightningdit'), { out, heads: 2, statistics: json })
    expect(imported).toMatchObject({ layout: 'lightningdit', ignored: [] })
    const guidance = { scale: 6.7, low: 0.11, high: 1, channels: 3 }
    expect(imported.sampling).toEqual({ steps: 249, shift: 0.3, guidance })
    const { config, statistics } = await findGenerator(out)
    expect(config).toMatchObject({ model: 'lightning-dit', mlpRatio: 4, flow: { time: 'data_at_1' } })
    expect([...(statistics?.std ?? [])]).toEqual([2, 2, 4, 4])
  })
})

test('guidance intervals are mirrored with the direction of time', async () => {
  const golden = new Golden('sit_1d')
  const source = await checkpoint(golden, 'interval')
  const guidance = { scale: 2.5, low: 0, high: 0.75 }
  const out = path.join(folder, 'interval')
  const { sampling } = await importWeights(source, { out, heads: 4, guidance })
  expect(sampling.guidance).toEqual({ scale: 2.5, low: 0.25, high: 1 })
  const ours = await importWeights(source, { out, heads: 4, guidance, time: 'data_at_1' })
  expect(ours.sampling.guidance).toEqual({ scale: 2.5, low: 0, high: 0.75 })
  await expect(importWeights(source, { out, heads: 4, guidance: { ...guidance, low: 0.8 } })).rejects.toThrow(
    RangeError
  )
})

test("LightningDiT's latent statistics come from its .pt file or from latents_stats.json", async () => {
  const source = await checkpoint(new Golden('lightning_dit_2d'), 'stats')
  const channels = Float32Array.from({ length: 8 }, (_, i) => i + 1)
  const file = path.join(folder, 'latents_stats.pt')
  const shape = [1, 8, 1, 1]
  await writeFile(file, torchFile({ mean: { shape, values: channels }, std: { shape, values: channels } }))
  const json = path.join(folder, 'latents_stats.json')
  await writeFile(json, JSON.stringify({ mean: [...channels], std: [...channels] }))
  for (const statistics of [file, json]) {
    const out = path.join(folder, 'stats')
    await importWeights(source, { out, heads: 4, statistics, latentScale: 2 })
    const found = await findGenerator(out)
    expect([...(found.statistics?.mean ?? [])]).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect([...(found.statistics?.std ?? [])]).toEqual([0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4])
  }
})

describe('tokenizers', () => {
  const cases: [string, object][] = [
    ['tokenizer_kl', { bottleneck: 'kl' }],
    [
      'tokenizer_maetok',
      { bottleneck: 'ae', encoder: { positions: 'rope' }, decoder: { positions: 'rope', cls: false } }
    ],
    [
      'tokenizer_softvq',
      { bottleneck: 'softvq', softvq: { codebooks: 4, codebookSize: 32, temperature: 0.07, normalise: true } }
    ]
  ]

  test.each(cases)('%s gives the original latents and reconstructions', async (name, expected) => {
    const golden = new Golden(name)
    const out = path.join(folder, name)
    const imported = await importWeights(await checkpoint(golden, `${name}-in`), { out, heads: 2 })
    expect(imported).toMatchObject({
      kind: 'tokenizer',
      layout: 'continuous-tokenizer',
      filled: ['encoder.mask_token']
    })
    using tokenizer = await Tokenizer.load(out, { device })
    expect(tokenizer.config).toMatchObject(expected)
    using latents = await tokenizer.encode(tensorOf(golden, 'x'))
    expect(relativeError(await latents.data(), golden.floats('latents'))).toBeLessThan(1e-5)
    using images = await tokenizer.decode(tensorOf(golden, 'latents'))
    expect(relativeError(await images.data(), golden.floats('reconstruction'))).toBeLessThan(1e-5)
  })

  test.each(cases)('%s is exported with the same names, shapes and values', async (name) => {
    const source = path.join(folder, `${name}-in.safetensors`)
    const was = await contents(source)
    const file = path.join(folder, `${name}-out.safetensors`)
    const { filled } = await exportWeights(path.join(folder, name), { layout: 'continuous-tokenizer', out: file })
    const is = await contents(file)
    const shapes = (all: typeof was) =>
      Object.entries(all)
        .map(([key, { shape }]) => `${key} [${shape}]`)
        .sort()
    expect(shapes(is)).toEqual(shapes(was))
    for (const key of Object.keys(was)) if (!filled.includes(key)) expect([key, is[key]]).toEqual([key, was[key]])
    for (const key of filled.filter((each) => each.includes('freqs_t_')))
      expect([key, is[key]]).toEqual([key, was[key]])

    const out = path.join(folder, `${name}-kept`)
    await importWeights(source, { out, heads: 2, keep: true })
    expect((await exportWeights(out, { layout: 'continuous-tokenizer', out: file })).filled).toEqual([])
    expect(await contents(file)).toEqual(was)
  })
})

test('a tokenizer whose parts have other numbers of heads comes back as it was', async () => {
  const vit = (width: number, heads: number) => ({ width, heads, depth: 1, layerScale: 1e-5 })
  const config = {
    imageSize: 32,
    patchSize: 16,
    latentTokens: 4,
    latentChannels: 4,
    encoder: vit(48, 6),
    decoder: vit(24, 3)
  }
  using tokenizer = await Tokenizer.create(config, { device })
  const [own, out] = [path.join(folder, 'heads'), path.join(folder, 'heads-again')]
  await tokenizer.save(own)
  const file = path.join(folder, 'heads.safetensors')
  await exportWeights(own, { layout: 'continuous-tokenizer', out: file })
  await importWeights(file, { out })
  using again = await Tokenizer.load(out, { device })
  expect([again.config.encoder.heads, again.config.decoder.heads]).toEqual([6, 3])
  expect(await again.identity()).toBe(await tokenizer.identity())
})

test('an import leaves nothing of an earlier one that kept unused tensors', async () => {
  const golden = new Golden('sit_2d')
  const out = path.join(folder, 'kept-before')
  await importWeights(await checkpoint(golden, 'kept-a', projectors), { out, heads: 4, keep: true })
  expect(await readdir(out)).toContain('left-over.safetensors')
  await importWeights(await checkpoint(golden, 'kept-b'), { out, heads: 4 })
  expect(await readdir(out)).not.toContain('left-over.safetensors')
})

describe('wrong arguments', () => {
  test('missing tensors and wrong shapes are named', async () => {
    const weights = new Golden('sit_1d').under('w.') as Values
    const { 'blocks.1.mlp.fc1.bias': _, ...lacking } = weights
    const out = path.join(folder, 'wrong')
    await expect(importWeights(await write('lacking', lacking), { out, heads: 4 })).rejects.toThrow(
      'lacks blocks.1.mlp.fc1.bias'
    )
    const table = { dtype: 'float32', shape: [48], data: new Float32Array(48) }
    await expect(
      importWeights(await write('other', { ...weights, 'blocks.1.attn.qkv.bias': table }), { out, heads: 4 })
    ).rejects.toThrow('"blocks.1.attn.qkv.bias" of shape [48], expected [144]')
    await expect(importWeights(await write('headless', weights), { out })).rejects.toThrow(
      'The number of heads for width 48 is unknown'
    )
    await expect(importWeights(await write('none', { a: table }), { out })).rejects.toThrow(
      "neither a DINOv2, nor FID's Inception, nor a continuous_tokenizer, SiT, REPA or LightningDiT checkpoint"
    )
  })

  test('wrong options are rejected', async () => {
    const source = await checkpoint(new Golden('sit_1d'), 'options')
    await expect(importWeights(source, {} as never)).rejects.toThrow(TypeError)
    await expect(importWeights(source, { name: 'a', out: 'b' })).rejects.toThrow(TypeError)
    await expect(importWeights(source, { out: folder, head: 4 } as never)).rejects.toThrow('did you mean heads?')
    await expect(importWeights(source, { out: path.join(folder, 'o'), heads: 4, group: 'ema' })).rejects.toThrow(
      RangeError
    )
    await expect(exportWeights(folder, { layout: 'dit' as never, out: 'x.safetensors' })).rejects.toThrow(RangeError)
    await expect(exportWeights(path.join(folder, 'sit_1d'), { layout: 'sit', out: 'x.pt' })).rejects.toThrow(TypeError)
    await expect(
      exportWeights(path.join(folder, 'sit_1d'), { layout: 'lightningdit', out: 'x.safetensors' })
    ).rejects.toThrow('Expected sit or repa for layout')
    await expect(
      exportWeights(path.join(folder, 'sit_1d'), { layout: 'continuous-tokenizer', out: 'x.safetensors' })
    ).rejects.toMatchObject({ code: 'ERR_FORMAT' })
  })

  test('a folder records the origin of its weights', async () => {
    const config = JSON.parse(await readFile(path.join(folder, 'sit_2d', 'config.json'), 'utf8'))
    expect(config.origin).toMatchObject({ layout: 'sit', group: '' })
  })
})
