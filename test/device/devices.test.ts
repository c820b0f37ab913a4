import { expect, test } from '@jest/globals'
import { ssim } from '../../lib/evaluation/ssim.js'
import type { NativeTensor } from '../../lib/native/addon.js'
import { Tensor } from '../../lib/tensor/tensor.js'
import { perceptual } from '../support/adversary.js'
import { flowConfig, generatorConfig, samplerConfig, unguided } from '../support/generator.js'
import { floats, native, randomImages, tokenizerConfig } from '../support/native.js'
import { describeOnStandIn } from '../support/stand-in.js'
import { goldenTeacher } from '../support/training.js'

const encoding = { precision: 'bf16', sample: true, seed: 1, indices: [0, 1] } as const
const integers = (values: bigint[], on: string) =>
  native().tensor(BigInt64Array.from(values), 'int64', [values.length], on)
const noise = (count: number, width: number, on: string) =>
  native().tensor(native().normal(1, 'test/rows', 0, 0, count, width), 'float32', [count, width], on)

/** What a network or a metric returns, computed on one device. */
const CASES: [string, (on: string) => Promise<NativeTensor[]>][] = [
  [
    'a tokenizer',
    async (on) => {
      const model = await native().createTokenizer(tokenizerConfig(), on, 3)
      const latents = await model.encode(randomImages(1, 2, 16, on), null, encoding)
      return [latents, await model.decode(latents, 'bf16')]
    }
  ],
  [
    'a teacher',
    async (on) => {
      const teacher = await goldenTeacher(on)
      const { cls, patches } = await teacher.features(randomImages(1, 2, 24, on), 'bf16')
      return [cls, patches]
    }
  ],
  [
    'LPIPS',
    async (on) => [
      await (await perceptual(on)).distance(randomImages(1, 2, 64, on), randomImages(2, 2, 64, on), 'fp32')
    ]
  ],
  [
    'moments',
    async (on) => {
      const moments = await native().createMoments(8, on)
      await moments.add(noise(20, 8, on))
      return [await moments.covariance()]
    }
  ],
  [
    'a linear probe',
    async (on) => {
      const labels = () =>
        integers(
          Array.from({ length: 30 }, (_, i) => BigInt(i % 3)),
          on
        )
      const options = { classes: 3, l2: 0.01, iterations: 20 }
      const found = await native().linearProbe(noise(30, 4, on), labels(), noise(30, 4, on), labels(), options)
      return [found.weight, found.bias]
    }
  ],
  [
    'neighbours',
    async (on) => {
      const rows = noise(20, 4, on)
      const radii = await native().neighbourRadii(rows, rows, 3)
      return [radii, await native().inManifold(rows, rows, radii)]
    }
  ],
  ...(['euler', 'dopri5', 'sde-heun'] as const).flatMap((method) =>
    [false, true].map((graphs): (typeof CASES)[number] => [
      `a sampler by ${method}${graphs ? ' with graphs' : ''}`,
      async (on) => {
        const generator = await native().createGenerator(generatorConfig(), on, 17)
        const config = samplerConfig({ method, steps: 4, graphs })
        const classes = integers([1n, 2n], on)
        const sampler = await native().createSampler(generator, flowConfig(), unguided, config, classes, null, null)
        while (!(await sampler.step()).done);
        return [await sampler.latents(), await sampler.preview()]
      }
    ])
  )
]

describeOnStandIn('on the second device', () => {
  test.each(CASES)('%s computes what it does on the first', async (_, compute) => {
    const run = async (on: string) => {
      const results = await compute(on)
      expect(results.map(({ device }) => device)).toEqual(results.map(() => on))
      return Promise.all(results.map(async (result) => Buffer.from(await result.read())))
    }
    expect(await run('cuda:1')).toEqual(await run('cuda:0'))
  })

  test('SSIM computes what it does on the first', async () => {
    const run = (on: string) =>
      ssim(Tensor.wrap<'uint8'>(randomImages(1, 2, 16, on)), Tensor.wrap<'uint8'>(randomImages(2, 2, 16, on)))
    expect(await run('cuda:1')).toEqual(await run('cuda:0'))
  })

  test('tensors move from one device to the other', async () => {
    const tensor = noise(2, 3, 'cuda:0')
    const moved = await tensor.to('cuda:1', 'float32')
    expect(moved.device).toBe('cuda:1')
    expect(await floats(moved)).toEqual(await floats(tensor))
  })
})
