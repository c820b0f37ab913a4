import { expect, test } from '@jest/globals'
import type { NativeFlowBatch } from '../../lib/native/addon.js'
import { flowConfig, generatorConfig, labels, samplerConfig, unguided } from '../support/generator.js'
import { device, floats, native } from '../support/native.js'
import { countOnDevice, describeOnStandIn } from '../support/stand-in.js'
import type { TestingGenerator } from '../support/testing-addon.js'
import { flowTrainerConfig } from '../support/trainers.js'

const training = (graphs: boolean) =>
  flowTrainerConfig({
    precision: 'bf16',
    graphs,
    loss: { weighting: 'none', direction: 0 },
    timesteps: { kind: 'uniform', mean: 0, deviation: 1, shift: 1 },
    ema: { decay: 0.5, warmup: false }
  })

const generator = (seed: number) => native().createGenerator(generatorConfig(), device, seed)

const flowTrainer = async (graphs: boolean) =>
  native().createFlowTrainer(await generator(17), await generator(17), training(graphs))

const flowBatch = (step: number): NativeFlowBatch => ({
  latents: native().tensor(native().normal(step, 'test/latents', 0, 0, 2, 96), 'float32', [2, 12, 8], device),
  labels: labels([step % 10, (step + 1) % 10])
})

const bf16Sampler = (network: TestingGenerator, graphs: boolean, method: 'euler' | 'heun' = 'euler') =>
  native().createSampler(
    network,
    flowConfig(),
    unguided,
    samplerConfig({ method, steps: 8, precision: 'bf16', graphs }),
    labels([1, 2]),
    null,
    null
  )

describeOnStandIn('a recorded sampler in bf16', () => {
  test.each([false, true])('follows weights that are written to (an eager call in between: %s)', async (eagerCall) => {
    const latents = async (graphs: boolean) => {
      const network = (await generator(17)) as TestingGenerator
      const sampler = await bf16Sampler(network, graphs)
      for (let step = 0; step < 4; step++) await sampler.step()
      const other = await generator(18)
      await network.load(other.state())
      if (eagerCall) await (await bf16Sampler(network, false)).step()
      for (let step = 4; step < 8; step++) await sampler.step()
      return floats(await sampler.latents())
    }
    expect(await latents(true)).toEqual(await latents(false))
  })

  test.each(['euler', 'heun'] as const)('follows the average of a training that goes on (%s)', async (method) => {
    const latents = async (graphs: boolean) => {
      const trainer = await flowTrainer(false)
      const samplers = await Promise.all(
        [trainer.generator, trainer.ema].map((network) => bf16Sampler(network as TestingGenerator, graphs, method))
      )
      for (let step = 0; step < 8; step++) {
        await trainer.step([flowBatch(step)], { step, lr: 1e-2 })
        for (const sampler of samplers) await sampler.step()
      }
      return Promise.all(samplers.map(async (sampler) => floats(await sampler.latents())))
    }
    expect(await latents(true)).toEqual(await latents(false))
  })
})

describeOnStandIn('the host', () => {
  test.each([false, true])('runs at most two steps ahead of the device (graphs: %s)', async (graphs) => {
    const trainer = await flowTrainer(graphs)
    for (let step = 0; step < 4; step++) await trainer.step([flowBatch(step)], { step, lr: 1e-3 })
    await trainer.metrics()
    const run = (count: number) => async () => {
      const pending = Array.from({ length: count }, (_, step) => trainer.step([flowBatch(step)], { step, lr: 1e-3 }))
      await Promise.all(pending)
    }
    const few = await countOnDevice(run(4))
    const many = await countOnDevice(run(40))
    expect(many.synchronizations).toEqual({})
    expect(many.runAhead).toBeLessThan(2 * few.runAhead)
    trainer.dispose()
  })
})

describeOnStandIn('a device error', () => {
  test('fails the jobs that meet it and leaves the process alive', async () => {
    const trainer = await flowTrainer(false)
    native().failOperation(50)
    const results = []
    for (let step = 0; step < 5; step++) {
      results.push(trainer.step([flowBatch(step)], { step, lr: 1e-3 }).then(() => trainer.metrics()))
    }
    const settled = await Promise.allSettled(results)
    expect(settled.some(({ status }) => status === 'rejected')).toBe(true)
    for (const result of settled) {
      if (result.status === 'rejected') expect(String(result.reason)).toMatch(/CUDA error/)
    }
    trainer.dispose()
    native().recoverDevice()
    expect(Array.from(await floats(native().tensor(Float32Array.of(1, 2), 'float32', [2], device)))).toEqual([1, 2])
  })
})

describeOnStandIn('a disposed trainer', () => {
  test.each([false, true])('returns its memory to the driver (graphs: %s)', async (graphs) => {
    const reserved = async () => (await native().deviceMemory(device))?.reserved ?? Number.NaN
    const train = async () => {
      const trainer = await flowTrainer(graphs)
      for (let step = 0; step < 4; step++) await trainer.step([flowBatch(step)], { step, lr: 1e-3 })
      const training = await reserved()
      for (const each of [trainer, trainer.generator, trainer.ema]) each.dispose()
      return { training, after: await reserved() }
    }
    const { training, after } = await train()
    expect(after).toBeLessThan(training)
  })
})

describeOnStandIn('engines', () => {
  test('divide the threads', async () => {
    const all = native().info().threads
    await native().engineThreads('cpu')
    await native().engineThreads('cuda:1')
    await native().engineThreads(device)
    expect(await native().engineThreads(device)).toBe(Math.max(1, Math.floor(all / 3)))
  })
})
