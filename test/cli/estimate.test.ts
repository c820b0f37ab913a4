import { expect, test } from '@jest/globals'
import { mactok } from '../support/cli.js'
import { Workplace } from '../support/images.js'

const place = new Workplace()

test('estimate says what a run takes, also as JSON, with settings of the training', async () => {
  const { code, stdout } = await mactok(['estimate', 'mactok-b-256-128', '--gpus', '8', '--gpu', 'h100'])
  expect(code).toBe(0)
  expect(stdout).toMatch(/^machine +1 × 8 × h100, bf16\nparameters +183\.2 M trained, 123\.4 M frozen\n/)
  expect(stdout).toMatch(/\nfits +yes\n/)
  const training = await place.write(
    'training.yaml',
    'discriminator: { weights: dino-small }\nloss: { perceptual: { weights: null } }\n'
  )
  const json = await mactok(['estimate', 'mactok-b-256-128', '--training', training, '--json'])
  const { parameters, earlyStep, kind } = JSON.parse(json.stdout)
  expect(kind).toBe('tokenizer')
  expect(parameters.frozen / 1e6).toBeCloseTo(108.7, 1)
  expect(earlyStep).not.toBeNull()
})

test('estimate says what would fit, and refuses unknown presets', async () => {
  const { stdout } = await mactok(['estimate', 'sit-xl', '--gpu', 'rtx-4090', '--micro-batch', '256'])
  expect(stdout).toMatch(/\nfits +no; with --micro-batch \d+ it does\n/)
  const { code, stderr } = await mactok(['estimate', 'mactok-b-256-12'])
  expect([code, stderr]).toEqual([2, expect.stringContaining('did you mean mactok-b-256-128?')])
})
