import { expect, test } from '@jest/globals'
import { sitFlops, tokenizerFlops } from '../../bench/statistics.mjs'
import { estimate } from '../../lib/estimate/estimate.js'
import { gpus } from '../../lib/estimate/hardware.js'
import { estimateTraining } from '../../lib/estimate/training.js'
import { generatorPresets } from '../../lib/generator/presets.js'
import { tokenizerPresets } from '../../lib/tokenizer/presets.js'
import { resolveGeneratorTraining } from '../../lib/training/generator/schema.js'
import { generatorWork } from '../../lib/training/generator/work.js'
import { resolveConfig } from '../../lib/training/tokenizer/presets.js'
import { tokenizerWork } from '../../lib/training/tokenizer/work.js'

const options = { precision: 'bf16', attention: 'fused' } as const
const plain = {
  masking: { semantic: 0 },
  align: { local: false, global: false },
  teacher: { weights: null },
  loss: { perceptual: { weights: null } },
  discriminator: { weights: null }
} as const

test.each(['mactok-b-256-128', 'mactok-bl-512-64', 'tiny-64'])(
  '%s without other networks has the FLOPs of encoder and decoder',
  (preset) => {
    const config = resolveConfig({ preset, ...plain })
    const { flops } = tokenizerWork(config, { ...options, adversarial: false })
    expect(flops / tokenizerFlops(config.tokenizer)).toBeCloseTo(1, 2)
  }
)

test('SiT has the FLOPs of its blocks', () => {
  const config = resolveGeneratorTraining('sit-xl')
  const { flops, trained } = generatorWork(config, { ...options, latentShape: [128, 32], classes: 1000 })
  expect(flops / sitFlops({ ...config.generator, latentShape: [128, 32] })).toBeCloseTo(1, 2)
  // SiT-XL/2 has 675 M parameters (Ma et al. 2024, table 1).
  expect(trained / 1e6).toBeCloseTo(675, 0)
})

test("VGG's FLOPs are those of its convolutions", () => {
  // [inputs, outputs, pixels of the image per pixel of the map]
  const layers = [
    [3, 64, 1],
    [64, 64, 1],
    [64, 128, 4],
    [128, 128, 4],
    [128, 256, 16],
    [256, 256, 16],
    [256, 256, 16],
    [256, 512, 64],
    [512, 512, 64],
    [512, 512, 64],
    [512, 512, 256],
    [512, 512, 256],
    [512, 512, 256]
  ] as const
  const perPixel = layers.reduce((sum, [inputs, outputs, pixels]) => sum + (2 * 9 * inputs * outputs) / pixels, 0)
  const flops = (weights: string | null) =>
    tokenizerWork(resolveConfig({ preset: 'tiny-64', ...plain, loss: { perceptual: { weights } } }), {
      ...options,
      adversarial: false
    }).flops
  expect(flops('lpips-vgg') - flops(null)).toBeCloseTo(3 * perPixel * 64 ** 2, 0)
})

test('all terms cost what the networks that compute them do', () => {
  const flops = (settings: object, adversarial = false) =>
    tokenizerWork(resolveConfig({ preset: 'mactok-b-256-128', ...settings }), { ...options, adversarial }).flops / 1e9
  // ViT-B on 257 tokens: 2 · 85.1 M · 257 FLOPs of weights and 12 · 4 · 257² · 768 of attention.
  const teacher = (2 * 85.1e6 * 257 + 12 * 4 * 257 ** 2 * 768) / 1e9
  const { align, masking, teacher: without } = plain
  expect(flops({}) - flops({ align, masking, teacher: without })).toBeGreaterThan(teacher)
  expect(flops({}) - flops({ align, masking, teacher: without })).toBeLessThan(1.1 * teacher)
  expect(flops({}, true)).toBeGreaterThan(flops({}))
  expect(flops({ checkpointing: true })).toBeGreaterThan(1.2 * flops({}))
})

const half = {
  work: { trained: 1e9, averaged: 5e8, frozen: 1e8, flops: 1e12, traffic: 1e9, activations: 1e9, launches: 1000 },
  steps: 1000,
  batch: 64,
  microBatch: 64,
  precision: 'bf16',
  hardware: gpus.h100,
  gpus: 8,
  nodes: 1,
  network: 25e9,
  sharded: false,
  graphs: false
} as const

test('memory is that of weights, their casts, gradients, moments, average and activations', () => {
  const { memory, exchanged } = estimate(half)
  expect(memory).toMatchObject({
    weights: 6e9,
    gradients: 4e9,
    optimizer: 8e9,
    average: 2e9,
    frozen: 6e8,
    activations: 8e9
  })
  const sharded = estimate({ ...half, sharded: true, microBatch: 16 }).memory
  expect(sharded).toMatchObject({ weights: 6e9, gradients: 4e9, optimizer: 1e9, average: 2.5e8, activations: 2e9 })
  // A ring all-reduce: each rank sends 2 (n − 1) / n of the gradients.
  expect(exchanged).toBe((2 * 7 * 4e9) / 8)
  expect(estimate({ ...half, gpus: 1 }).exchanged).toBe(0)
})

test('the largest micro-batch that fits is found', () => {
  const { fits, largestMicroBatch } = estimate({ ...half, batch: 1024, microBatch: 1024, gpus: 2 })
  expect([fits, largestMicroBatch]).toEqual([false, 64])
  expect(estimate({ ...half, gpus: 1, hardware: { ...gpus.h100, memory: 1e9 } })).toMatchObject({
    fits: false,
    largestMicroBatch: 0
  })
})

test('time is that of products, other operations, optimiser and exchange, or of launching them', () => {
  const measured = { flops: 1e14, bandwidth: 1e12 }
  const { step, run, samplesPerSecond } = estimate({ ...half, measured })
  expect(step.products).toBeCloseTo(0.08, 10)
  expect(step.others).toBeCloseTo(0.008, 10)
  expect(step.total).toBeCloseTo(step.products + step.others + step.optimizer + step.exchange, 10)
  expect(run).toBeCloseTo(1000 * step.total, 10)
  expect(samplesPerSecond).toBeCloseTo(64 / step.total, 6)
  const small = estimate({ ...half, measured, microBatch: 8, work: { ...half.work, launches: 1e4 } })
  expect(small.step.total).toBeCloseTo(8 * 1e4 * 5e-6, 10)
  expect(estimate({ ...half, measured, early: { ...half.work, flops: 0 }, earlySteps: 600 }).run).toBeCloseTo(
    400 * step.total + 600 * (step.total - step.products),
    8
  )
})

test('every preset is estimated, and more GPUs take less time', () => {
  for (const preset of [...Object.keys(tokenizerPresets), ...Object.keys(generatorPresets)]) {
    const one = estimateTraining(preset)
    const eight = estimateTraining(preset, { gpus: 8 })
    expect(one.memory.total).toBeGreaterThan(1e9)
    expect(one.fits).toBe(true)
    expect(eight.step.products).toBeCloseTo(one.step.products / 8, 12)
    expect(eight.run).toBeLessThanOrEqual(one.run)
  }
})

test('steps that are given replace epochs', () => {
  const training = { epochs: 10, batch: 100 }
  expect(estimateTraining('tiny-64', { images: 1000 }, training).steps).toBe(100)
  expect(estimateTraining('tiny-64', { images: 1000, steps: 30 }, training)).toMatchObject({ steps: 30, epochs: 3 })
  expect(estimateTraining('sit-b', { steps: 30 }).steps).toBe(30)
})

test('wrong settings are refused by name', () => {
  expect(() => estimateTraining('sit-xx')).toThrow('did you mean sit-xl?')
  expect(() => estimateTraining('sit-b', { gpus: 3 })).toThrow(
    'Expected a multiple of the 3 GPUs for batch but received 256'
  )
  expect(() => estimateTraining('sit-b', { gpus: 8, microBatch: 4 })).toThrow(
    'Expected a divisor of the batch (256) and a multiple of the 8 GPUs for microBatch but received 4'
  )
  expect(() => estimateTraining('sit-b', { gpu: 'h1000' as never })).toThrow('gpu')
})
