import { describe, expect, test } from '@jest/globals'
import type { NativeFlowBatch, NativeFlowTrainerConfig, NativeState, NativeTensor } from '../../lib/native/addon.js'
import { adversarialTrainer, full } from '../support/adversary.js'
import { flowConfig, generatorConfig, labels, sample } from '../support/generator.js'
import { type Changes, device, native, randomImages, readState, type trainerConfig } from '../support/native.js'

// A CPU has no graphs, but runs recorded work on the buffers that a graph reads, and on nothing else that the host knows.

/** Weights, averages, states of the optimisers, and metrics after the steps. */
async function outcome(trainer: { state(): Record<string, NativeState>; metrics(): Promise<Record<string, number>> }) {
  const groups = Object.entries(trainer.state()).map(async ([name, state]) => [name, await readState(state)] as const)
  return { state: Object.fromEntries(await Promise.all(groups)), metrics: await trainer.metrics() }
}

describe('recorded steps are bit-identical', () => {
  const parts = (images: NativeTensor, cuts: number[]) =>
    cuts.slice(1).map((end, i) => images.slice(cuts[i] as number, end))

  test.each<[string, Changes<ReturnType<typeof trainerConfig>>, number[]]>([
    ['of a tokenizer', {}, [0, 4]],
    ['in bf16', { precision: 'bf16' }, [0, 4]],
    ['over micro-batches of unequal size', {}, [0, 1, 4]],
    ['with latent masking', { masking: { target: 'latent', semantic: 0 } }, [0, 4]],
    ['with one mask ratio for all', { masking: { per: 'batch' } }, [0, 2, 4]]
  ])('%s, while rate, weights and draws change and a discriminator starts', async (_, changes, cuts) => {
    const trained = async (graphs: boolean) => {
      const { trainer } = await adversarialTrainer(full, { ...changes, graphs })
      for (let step = 0; step < 5; step++) {
        const weights = { reconstruction: 1, kl: 1e-4 * step, alignment: 0.3, adversarial: step < 2 ? 0 : 0.1 * step }
        await trainer.step(parts(randomImages(step, 4, 16), cuts), { step, lr: 1e-3 / (step + 1), weights })
      }
      return outcome(trainer)
    }
    expect(await trained(true)).toEqual(await trained(false))
  })

  test('of a generator', async () => {
    const config = (graphs: boolean): NativeFlowTrainerConfig => ({
      ...{ seed: 3, precision: 'fp32', graphs, flow: flowConfig(), labelDropout: 0.5 },
      loss: { weighting: 'none', direction: 1 },
      timesteps: { kind: 'lognormal', mean: 0, deviation: 1, shift: 1 },
      optimizer: { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.1, clipNorm: 1 },
      ema: { decay: 0.9, warmup: true }
    })
    const batch = (step: number, count: number): NativeFlowBatch => {
      const values = native().normal(step, 'test/latents', 0, 0, count, 96)
      return {
        latents: native().tensor(values, 'float32', [count, 12, 8], device),
        labels: labels(Array.from({ length: count }, (_, i) => (i + step) % 10))
      }
    }
    const trained = async (graphs: boolean) => {
      const make = () => native().createGenerator(generatorConfig(), device, 17)
      const trainer = await native().createFlowTrainer(await make(), await make(), config(graphs))
      for (let step = 0; step < 4; step++) {
        await trainer.step([batch(step, 3), batch(step + 9, step % 2 === 0 ? 2 : 3)], { step, lr: 1e-3 / (step + 1) })
      }
      return outcome(trainer)
    }
    expect(await trained(true)).toEqual(await trained(false))
  })
})

test.each(['heun', 'dopri5', 'sde-heun'] as const)(
  'recorded evaluations give the same samples (%s)',
  async (method) => {
    const generator = await native().createGenerator(generatorConfig(), device, 17)
    const weak = await native().createGenerator(generatorConfig(), device, 18)
    for (const guidance of [
      { scale: 2, low: 0.2, high: 0.7 },
      { scale: 2, weak }
    ]) {
      const draw = (graphs: boolean) =>
        sample(generator, labels([1, 2, 3]), { guidance, config: { method, steps: 6, control: 'sample', graphs } })
      expect(await draw(true)).toEqual(await draw(false))
    }
  }
)

test('a recorded step that fails does not affect the next ones', async () => {
  const run = async (broken: boolean) => {
    const { trainer } = await adversarialTrainer(full, { graphs: true })
    const options = { step: 0, lr: 1e-3, weights: { reconstruction: 1, kl: 1e-4, alignment: 0.3, adversarial: 0.2 } }
    await trainer.step([randomImages(1, 4, 16)], options)
    if (broken) await expect(trainer.step([randomImages(1, 4, 20)], { ...options, step: 1 })).rejects.toThrow()
    await trainer.step([randomImages(1, 4, 16)], { ...options, step: 1 })
    return outcome(trainer)
  }
  expect(await run(true)).toEqual(await run(false))
})
