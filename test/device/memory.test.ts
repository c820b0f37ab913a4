import { createHash } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { native as awaitNative } from '../../lib/native/errors.js'
import type { DeviceMemory } from '../../lib/native/types/system.js'
import { flowConfig, generatorConfig, labels, samplerConfig, unguided } from '../support/generator.js'
import { device, floats, native } from '../support/native.js'
import { countOnDevice, describeOnStandIn } from '../support/stand-in.js'
import { fullTokenizerTrainer, readTrainer, TRAINERS } from '../support/trainers.js'

/** At most about this many of a step's allocations fail, spread over all of them. */
const SAMPLES = 12

/** 1, …, count, thinned out. */
const spread = (count: number) => {
  const stride = Math.max(1, Math.floor(count / SAMPLES))
  return Array.from({ length: Math.ceil(count / stride) }, (_, i) => 1 + i * stride)
}

const OUT_OF_MEMORY = {
  code: 'ERR_OUT_OF_MEMORY',
  message: expect.stringMatching(/Tried to allocate .*GPU \d .* is free/)
}

/** Of a trainer's weights: quicker to compare, and to report, than all of its numbers. */
const hash = ({ state }: Awaited<ReturnType<typeof readTrainer>>) =>
  createHash('sha256').update(JSON.stringify(state)).digest('hex')

describeOnStandIn('memory that runs out', () => {
  test.each(TRAINERS.flatMap(([name, create]) => [false, true].map((graphs) => [name, graphs, create] as const)))(
    'in a step of %s (graphs: %s) leaves the trainer usable',
    async (_, graphs, create) => {
      const [trainer, untouched, behind] = await Promise.all([
        create({ graphs }),
        create({ graphs }),
        create({ graphs })
      ])
      // With graphs the steps are run, recorded and replayed.
      for (let step = 0; step < 3; step++) {
        const { allocations } = await countOnDevice(() => untouched.step(step))
        let failures = 0
        for (const n of spread(allocations)) {
          native().failAllocation(n)
          const error = await awaitNative(trainer.step(step)).catch((thrown: unknown) => thrown)
          native().failAllocation(0)
          if (!error) continue
          expect(error).toMatchObject(OUT_OF_MEMORY)
          failures++
        }
        expect(failures).toBeGreaterThan(0)
        // A step that fails after its optimiser has moved the weights: what counts is that it can be loaded and trained.
        await trainer.load(behind.state())
        await trainer.metrics()
        await trainer.step(step)
        await behind.step(step)
        expect(hash(await readTrainer(trainer))).toBe(hash(await readTrainer(behind)))
      }
    }
  )

  test('is enough to record a step that it is enough to run', async () => {
    const create = () => fullTokenizerTrainer({ graphs: true })
    const [trainer, untouched] = await Promise.all([create(), create()])
    for (const each of [trainer, untouched]) await each.step(0)
    // What the first, unrecorded step left cached is needed for the recording.
    const { reserved } = (await native().deviceMemory(device)) as DeviceMemory
    native().limitMemory(Math.ceil(1.01 * reserved))
    await trainer.step(1)
    native().limitMemory(0)
    await untouched.step(1)
    expect(hash(await readTrainer(trainer))).toBe(hash(await readTrainer(untouched)))
  })

  test.each([false, true])('while a sampler steps (graphs: %s) leaves the generator usable', async (graphs) => {
    const generator = await native().createGenerator(generatorConfig(), device, 17)
    const create = () =>
      native().createSampler(
        generator,
        flowConfig(),
        unguided,
        samplerConfig({ method: 'heun', steps: 4, graphs }),
        labels([1, 2]),
        null,
        null
      )
    const finish = async (sampler: Awaited<ReturnType<typeof create>>) => {
      while (!(await sampler.step()).done);
      return floats(await sampler.latents())
    }
    const expected = await finish(await create())
    const counted = await create()
    const { allocations } = await countOnDevice(() => counted.step())
    for (const n of spread(allocations)) {
      const sampler = await create()
      native().failAllocation(n)
      await expect(awaitNative(sampler.step())).rejects.toMatchObject(OUT_OF_MEMORY)
      native().failAllocation(0)
    }
    expect(await finish(await create())).toEqual(expected)
  })

  test('in an upload says so', async () => {
    native().failAllocation(1)
    expect(() => native().tensor(new Float32Array(4), 'float32', [4], device)).toThrow(/Tried to allocate 512 bytes/)
  })
})
