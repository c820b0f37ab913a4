import { expect, test } from '@jest/globals'
import { device } from '../support/native.js'
import { countOnDevice, describeOnStandIn, launches } from '../support/stand-in.js'
import { readTrainer, TRAINERS } from '../support/trainers.js'

const precisions = ['fp32', 'bf16'] as const
const cases = TRAINERS.flatMap(([name, create]) => precisions.map((precision) => [name, precision, create] as const))

describeOnStandIn('training on a device', () => {
  test.each(cases)('the host never waits for a step of %s in %s', async (_, precision, create) => {
    for (const graphs of [false, true]) {
      const trainer = await create({ precision, graphs })
      for (let step = 0; step < 3; step++) await trainer.step(step)
      const { synchronizations, replays } = await countOnDevice(() => trainer.step(3))
      expect(synchronizations).toEqual({})
      expect(replays).toBe(graphs ? 1 : 0)
      trainer.dispose()
    }
  })

  test.each(cases)('a graph of a step of %s in %s gives the same bits', async (_, precision, create) => {
    const train = async (graphs: boolean) => {
      const trainer = await create({ precision, graphs })
      for (let step = 0; step < 5; step++) await trainer.step(step)
      return readTrainer(trainer)
    }
    expect(await train(true)).toEqual(await train(false))
  })

  test.each(TRAINERS)('a step of %s is replayed with a few launches', async (_, create) => {
    const trainer = await create({ graphs: true })
    for (let step = 0; step < 3; step++) await trainer.step(step)
    const counts = await countOnDevice(() => trainer.step(3))
    expect(launches(counts)).toBeLessThan(counts.replayed / 5)
    expect(counts.replayed).toBeGreaterThan(200)
  })

  test.each(TRAINERS)('steps of %s cast the trained weights at once, and to the same bits', async (_, create) => {
    const trainer = await create({ precision: 'bf16' })
    await trainer.step(0)
    // Autocast casts each weight in a first step, which finds out what is cast.
    const first = await create({ precision: 'bf16' })
    await first.load(trainer.state())
    const oneByOne = await countOnDevice(() => first.step(1))
    const atOnce = await countOnDevice(() => trainer.step(1))
    expect((await readTrainer(trainer)).state).toEqual((await readTrainer(first)).state)
    // At least the four layers of one block: weight and bias.
    expect(launches(atOnce)).toBeLessThanOrEqual(launches(oneByOne) - 4 * 2 + 1)
  })

  test.each(TRAINERS)('the state of %s moves to a CPU and back', async (_, create) => {
    const trainer = await create({}, device)
    for (let step = 0; step < 2; step++) await trainer.step(step)
    const onHost = await create({}, 'cpu')
    await onHost.load(trainer.state())
    const returned = await create({}, device)
    await returned.load(onHost.state())
    const { state } = await readTrainer(trainer)
    expect((await readTrainer(onHost)).state).toEqual(state)
    for (const each of [trainer, returned, onHost]) await each.step(2)
    const next = (await readTrainer(trainer)).state
    expect((await readTrainer(returned)).state).toEqual(next)
  })

  test.each(TRAINERS)('%s trains on the second device as on the first', async (_, create) => {
    const train = async (on: string) => {
      const trainer = await create({}, on)
      for (let step = 0; step < 2; step++) await trainer.step(step)
      return readTrainer(trainer)
    }
    expect(await train('cuda:1')).toEqual(await train('cuda:0'))
  })
})
