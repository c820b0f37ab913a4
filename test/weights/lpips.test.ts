import { mkdir } from 'node:fs/promises'
import { describe, expect, test } from '@jest/globals'
import { detectLpips, mapLpips, openLpips } from '../../lib/weights/lpips.js'
import type { Weights, WeightTensor } from '../../lib/weights/tensors.js'
import { writeSafetensors } from '../../lib/weights/writer.js'
import { Workplace } from '../support/images.js'

const workplace = new Workplace()
const layers = { vgg: [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28], alex: [0, 3, 6, 8, 10] }
const named = (name: string, kernel = 1): [string, WeightTensor] => [
  name,
  { dtype: 'float32', shape: [1, 1, kernel, kernel], bytes: async () => new Uint8Array(4 * kernel * kernel) }
]

/** Shapes do not matter but the first kernel's. */
const torchvision = (network: 'vgg' | 'alex'): [string, WeightTensor][] => [
  ...layers[network].flatMap((layer) => [
    named(`features.${layer}.weight`, layer > 0 ? 1 : network === 'vgg' ? 3 : 11),
    named(`features.${layer}.bias`)
  ]),
  named('classifier.6.weight')
]
const heads = [0, 1, 2, 3, 4].map((i) => named(`lin${i}.model.1.weight`))

describe.each(['vgg', 'alex'] as const)('LPIPS weights (%s)', (network) => {
  const merged: Weights = new Map([...torchvision(network), ...heads])

  test("of torchvision and the package's heads become the package's names", () => {
    const mapped = mapLpips(merged)
    expect(mapped.network).toBe(network)
    const last = network === 'vgg' ? 'net.slice5.28.weight' : 'net.slice5.10.weight'
    expect([...mapped.weights.keys()]).toEqual(
      expect.arrayContaining(['net.slice1.0.weight', last, 'lin4.model.1.weight'])
    )
    expect(mapped.weights.size).toBe(2 * layers[network].length + 5)
  })

  test("of the package stay, without its constants and the heads' second names", () => {
    const { weights } = mapLpips(merged)
    const whole = new Map([...weights, named('scaling_layer.shift'), named('lins.0.model.1.weight')])
    expect(detectLpips(whole)).toBe(network)
    expect(mapLpips(whole).weights).toEqual(weights)
  })

  test('may be split over two files of one folder', async () => {
    const folder = workplace.path(network)
    await mkdir(folder, { recursive: true })
    const write = (file: string, tensors: [string, WeightTensor][]) =>
      writeSafetensors(
        `${folder}/${file}`,
        tensors.map(([name, { shape }]) => ({
          name,
          dtype: 'float32' as const,
          shape: [...shape],
          data: new Float32Array(shape.reduce((product, size) => product * size, 1))
        }))
      )
    await write('backbone.safetensors', torchvision(network))
    await write('heads.safetensors', heads)
    const opened = await openLpips(folder)
    expect(opened.network).toBe(network)
    expect(opened.weights.size).toBe(2 * layers[network].length + 5)
    await opened.close()
  })
})

test('other weights are rejected by name', () => {
  expect(() => mapLpips(new Map([named('blocks.0.norm1.weight')]))).toThrow(
    'Not the weights of LPIPS (VGG-16 or AlexNet); their first tensors are blocks.0.norm1.weight'
  )
  expect(() => mapLpips(new Map(torchvision('vgg')))).toThrow('The LPIPS weights lack "lin0.model.1.weight"')
  expect(() => mapLpips(new Map([...torchvision('vgg'), ...heads, named('features.3.weight')]))).toThrow(
    'Unexpected tensor "features.3.weight" among LPIPS weights'
  )
})
