import { existsSync } from 'node:fs'
import { expect } from '@jest/globals'
import { runExample } from '../support/examples.js'
import { Workplace } from '../support/images.js'
import { testWhere } from '../support/paths.js'

const place = new Workplace()
const long = Boolean(process.env.MACTOK_TEST_LONG)

testWhere(long, 'examples/demo, a minute or two on two cores (MACTOK_TEST_LONG=1 runs it)')(
  'examples/demo trains, encodes, decodes, samples and reports',
  async () => {
    const out = await runExample('demo/demo.mjs', ['--short'], { cwd: place.path('') })
    expect(out).toMatch(/Done: \d+\.\d dB/)
    for (const file of [
      'grid.png',
      'samples.png',
      'run/report.html',
      'generator/report.html',
      'latents/manifest.json'
    ]) {
      expect([file, existsSync(place.path(`demo/${file}`))]).toEqual([file, true])
    }
  },
  600_000
)
