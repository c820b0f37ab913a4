import { mkdir, readdir } from 'node:fs/promises'
import { expect, test } from '@jest/globals'
import { runExample } from '../support/examples.js'
import { Workplace } from '../support/images.js'

const place = new Workplace()

test('examples/xl trains one step, draws one sample, and removes its files', async () => {
  await mkdir(place.path('scratch'))
  const env = { MACTOK_SCRATCH: place.path('scratch') }
  const out = await runExample('xl/one-step.mjs', ['sit-tiny', '4', '3'], { env })
  expect(out).toMatch(/sit-tiny on 4×3 tokens: \d+ parameters/)
  expect(out).toMatch(/step 1, batch 2: loss \d/)
  expect(out).toMatch(/a sample \[1,4,3\] in 2 steps, 2 evaluations/)
  expect(await readdir(place.path('scratch'))).toEqual([])
})
