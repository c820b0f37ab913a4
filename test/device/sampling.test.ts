import { expect, test } from '@jest/globals'
import type { NativeSamplerConfig } from '../../lib/native/addon.js'
import { flowConfig, generatorConfig, labels, sample, samplerConfig, unguided } from '../support/generator.js'
import { device, native } from '../support/native.js'
import { countOnDevice, describeOnStandIn } from '../support/stand-in.js'

const methods: NativeSamplerConfig['method'][] = ['euler', 'heun', 'midpoint', 'dopri5', 'euler-maruyama', 'sde-heun']
const networks = {
  SiT: generatorConfig(),
  LightningDiT: generatorConfig({ model: 'lightning-dit', latentShape: [8, 4, 4] })
}
const precisions = ['fp32', 'bf16'] as const

describeOnStandIn('sampling on a device', () => {
  test.each(methods.filter((method) => method !== 'dopri5'))(
    'the host never waits for a step of %s',
    async (method) => {
      for (const graphs of [false, true]) {
        const generator = await native().createGenerator(generatorConfig(), device, 17)
        const guidance = { ...unguided, scale: 2 }
        const config = samplerConfig({ method, steps: 6, graphs })
        const sampler = await native().createSampler(
          generator,
          flowConfig(),
          guidance,
          config,
          labels([1, 2]),
          null,
          null
        )
        for (let i = 0; i < 3; i++) await sampler.step()
        expect((await countOnDevice(() => sampler.step())).synchronizations).toEqual({})
      }
    }
  )

  test('dopri5 waits once for the error of an attempt', async () => {
    const generator = await native().createGenerator(generatorConfig(), device, 17)
    const config = samplerConfig({ method: 'dopri5' })
    const sampler = await native().createSampler(generator, flowConfig(), unguided, config, labels([1, 2]), null, null)
    await sampler.step()
    const { synchronizations } = await countOnDevice(() => sampler.step())
    expect(Object.values(synchronizations)).toEqual([1])
  })

  test.each(
    Object.entries(networks).flatMap(([name, config]) =>
      methods.flatMap((method) => precisions.map((precision) => [name, method, precision, config] as const))
    )
  )('graphs of %s give the same bits (%s, %s)', async (_, method, precision, network) => {
    const generator = await native().createGenerator(network, device, 17)
    const draw = (graphs: boolean) =>
      sample(generator, labels([1, 2, 3]), {
        guidance: { scale: 2, low: 0.2, high: 0.7 },
        config: { method, precision, steps: 6, control: 'sample', graphs }
      })
    expect(await draw(true)).toEqual(await draw(false))
  })
})
