import { describe, expect, test } from '@jest/globals'
import type { AdversarialLoss, NativeAugmentation } from '../../lib/native/addon.js'
import { Golden, relativeError } from '../support/golden.js'
import { floats, native, tensor } from '../support/native.js'

// PyTorch in float64, from the same draws (test/golden/adversarial.py).
const golden = new Golden('adversarial')
const none: NativeAugmentation = { probability: 1, color: false, translation: 0, cutout: 0 }
const all: NativeAugmentation = { probability: 1, color: true, translation: 0.125, cutout: 0.2 }

describe('DiffAugment agrees with PyTorch', () => {
  test.each<[string, NativeAugmentation]>([
    ['color', { ...none, color: true }],
    ['translation', { ...none, translation: 0.125 }],
    ['cutout', { ...none, cutout: 0.2 }],
    ['all', all],
    ['strong', { ...all, cutout: 0.5 }]
  ])('in images and gradients (%s)', async (name, policy) => {
    const [images, strengths, upstream] = ['images', 'strengths', 'upstream'].map((key) => tensor(golden.get(key)))
    const result = await native().diffAugment(images as never, policy, strengths as never, upstream as never)
    expect(relativeError(await floats(result.images), golden.floats(`${name}.images`))).toBeLessThan(1e-6)
    expect(relativeError(await floats(result.gradient as never), golden.floats(`${name}.gradient`))).toBeLessThan(1e-6)
  })

  test('and changes nothing without policies', async () => {
    const [images, strengths] = ['images', 'strengths'].map((key) => tensor(golden.get(key)))
    const result = await native().diffAugment(images as never, none, strengths as never, null)
    expect(await floats(result.images)).toEqual(golden.floats('images'))
  })
})

test.each<AdversarialLoss>(['hinge', 'vanilla', 'non-saturating'])('the %s losses agree with PyTorch', async (kind) => {
  const [real, fake] = ['real', 'fake'].map((side) => tensor(golden.get(`logits.${side}`)))
  const losses = await native().adversarialLosses(kind, real as never, fake as never)
  for (const side of ['discriminator', 'generator'] as const) {
    expect((await floats(losses[side]))[0]).toBeCloseTo(golden.scalar(`${kind}.${side}`), 6)
  }
})

test('LeCAM updates its averages before each term, as PyTorch does', async () => {
  const [real, fake] = ['real', 'fake'].map((side) => tensor(golden.get(`logits.${side}`)))
  const result = await native().lecam(0.9, real as never, fake as never)
  expect(relativeError(await floats(result.losses), golden.floats('lecam.losses'))).toBeLessThan(1e-6)
  expect((await floats(result.real))[0]).toBeCloseTo(golden.scalar('lecam.real'), 6)
  expect((await floats(result.fake))[0]).toBeCloseTo(golden.scalar('lecam.fake'), 6)
})
