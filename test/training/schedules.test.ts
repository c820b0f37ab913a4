import { describe, expect, test } from '@jest/globals'
import { klWeight, learningRate } from '../../lib/training/schedules.js'

describe('learningRate', () => {
  const schedule = { peak: 1e-3, warmup: 4, steps: 12, final: 0.1 }

  test('equals torch: LinearLR(1/4, total_iters=3), then CosineAnnealingLR(8, eta_min=1e-4)', () => {
    // torch 2.15.0, SequentialLR with milestone 4: the rate before each of 13 optimiser steps.
    const torch = [
      0.00025, 0.0005, 0.00075, 0.001, 0.001, 0.00096574578963, 0.000868198051534, 0.000722207544564, 0.00055,
      0.000377792455436, 0.000231801948466, 0.00013425421037, 0.0001
    ]
    for (const [step, lr] of torch.entries()) expect(learningRate(step, schedule)).toBeCloseTo(lr, 14)
  })

  test('stays at its end past the last step', () => {
    expect(learningRate(100, schedule)).toBeCloseTo(1e-4, 15)
  })

  test('starts at the peak without warm-up', () => {
    expect(learningRate(0, { ...schedule, warmup: 0 })).toBe(1e-3)
  })
})

describe('klWeight', () => {
  const anneal = { steps: 10, ramp: 0.5 }
  const at = (kind: 'none' | 'linear' | 'cyclical', steps: number[]) =>
    steps.map((step) => klWeight(step, 2, { kind, ...anneal }))

  test('is constant without annealing', () => expect(at('none', [0, 5, 99])).toEqual([2, 2, 2]))

  test('grows linearly and stays', () => expect(at('linear', [0, 5, 10, 99])).toEqual([0, 1, 2, 2]))

  test('grows in the first half of each cycle', () => {
    expect(at('cyclical', [0, 1, 4, 5, 9, 10, 14, 15])).toEqual([0, 0.4, 1.6, 2, 2, 0, 1.6, 2])
  })
})
