import { describe, expect, test } from '@jest/globals'
import { importWeights } from '../../lib/interchange/import.js'
import { mapInception, openInception } from '../../lib/weights/inception.js'
import type { WeightTensor } from '../../lib/weights/tensors.js'
import { writeSafetensors } from '../../lib/weights/writer.js'
import { Workplace } from '../support/images.js'

const place = new Workplace()
const named = (name: string, shape = [1]): [string, WeightTensor] => [
  name,
  { dtype: 'float32', shape, bytes: async () => new Uint8Array(4 * shape.reduce((a, b) => a * b, 1)) }
]
const last = named('Mixed_7c.branch3x3dbl_3b.bn.running_var')

describe("the weights of FID's Inception", () => {
  test('lose counters and the bias; the classifier determines the classes', () => {
    const whole = new Map([
      last,
      named('Mixed_7c.branch3x3dbl_3b.bn.num_batches_tracked'),
      named('fc.weight', [1008, 2]),
      named('fc.bias', [1008])
    ])
    const { classes, weights } = mapInception(whole)
    expect(classes).toBe(1008)
    expect([...weights.keys()]).toEqual([last[0], 'fc.weight'])
    expect(mapInception(new Map([last])).classes).toBe(0)
  })

  test('of another network are rejected', () => {
    expect(() => mapInception(new Map([named('conv1.weight')]))).toThrow(
      "Not the weights of FID's Inception-v3; their first tensors are conv1.weight"
    )
    const torchvision = new Map([last, named('AuxLogits.fc.weight')])
    expect(() => mapInception(torchvision)).toThrow('Not the weights')
  })

  test('are imported, and opened from the import', async () => {
    const file = place.path('pt_inception.safetensors')
    const tensors = ['fc.weight', 'fc.bias', last[0]].map((name) => ({
      name,
      dtype: 'float32' as const,
      shape: name === 'fc.weight' ? [4, 1] : [1],
      data: new Float32Array(name === 'fc.weight' ? 4 : 1)
    }))
    await writeSafetensors(file, tensors)
    const out = place.path('inception-fid')
    expect(await importWeights(file, { out })).toMatchObject({
      kind: 'inception',
      layout: 'inception',
      ignored: ['fc.bias']
    })
    const opened = await openInception(out)
    expect(opened.classes).toBe(4)
    await opened.close()
  })

  test('that are missing: the error says how to get them', async () => {
    await expect(openInception(place.path('nowhere'))).rejects.toThrow('mactok weights import pt_inception-2015-12-05')
  })
})
