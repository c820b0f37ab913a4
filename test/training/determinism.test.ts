import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { libtorchOrigin } from '../../lib/native/load.js'
import { mactok } from '../support/cli.js'
import { gradient, png, Workplace } from '../support/images.js'
import { testWhere } from '../support/paths.js'

const place = new Workplace()
const steps = 20
const vit = { width: 16, depth: 2, heads: 2, layerScale: 1 }
const settings = {
  tokenizer: { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit },
  batch: 4,
  precision: 'fp32',
  align: { local: false, global: false },
  masking: { semantic: 0 },
  optimizer: { lr: 1e-3, warmup: 2 },
  log: { every: 1 }
}

/** The instructions that LibTorch uses, and with them libraries that choose by the CPU's vendor, or by what else it has. */
const environmentOf = (capability: string) => ({
  ATEN_CPU_CAPABILITY: capability,
  MKL_CBWR: 'COMPATIBLE',
  ONEDNN_MAX_CPU_ISA: 'AVX2'
})

/** Trains, and hashes everything that the run computed. */
async function train(name: string, capability: string, threads = 1): Promise<string> {
  const out = place.path(name)
  const inputs = ['--config', place.path('settings.json'), '--data', place.path('photos')]
  const flags = ['--steps', `${steps}`, '--device', 'cpu', '--threads', `${threads}`]
  const done = await mactok(['train', 'tokenizer', ...inputs, '--out', out, ...flags], {
    env: environmentOf(capability)
  })
  expect([done.code, done.stderr]).toEqual([0, expect.anything()])
  const hash = createHash('sha256')
  hash.update(readFileSync(join(out, 'metrics.jsonl'), 'utf8').replace(/"imagesPerSecond":[^,}]+/g, ''))
  const checkpoint = join(out, 'checkpoints', `step-${String(steps).padStart(7, '0')}`)
  for (const file of readdirSync(checkpoint).sort()) {
    if (file.endsWith('.safetensors')) hash.update(file).update(readFileSync(join(checkpoint, file)))
  }
  return hash.digest('hex')
}

beforeAll(async () => {
  await place.write('settings.json', JSON.stringify(settings))
  for (let i = 0; i < 6; i++) await place.write(`photos/${i}.png`, await png(gradient(20, 20, i)))
})

const cpu = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : ''
/** Our own loops are chosen by the level. */
const level = ['avx512bw', 'avx512dq', 'avx512vl'].every((flag) => cpu.includes(flag)) ? 'v4' : 'v3'
const { levels, ...recorded } = JSON.parse(readFileSync(new URL('determinism.json', import.meta.url), 'utf8'))
/** What else decides the bits besides the capability. */
const machine: Record<string, string> = {
  vendor: /vendor_id\s*: (.*)/.exec(cpu)?.[1] ?? process.arch,
  avx2: String(cpu.includes(' avx2 ')),
  libtorch: libtorchOrigin().version
}
const differs = Object.keys(recorded).filter((key) => recorded[key] !== machine[key])
const reason = differs.map((key) => `${key} ${machine[key]} instead of ${recorded[key]}`).join(', ')

describe(`${steps} steps`, () => {
  for (const [capability, expected] of Object.entries(levels[level])) {
    testWhere(differs.length === 0, `the recorded hash of ${steps} steps (${reason})`)(
      `compute what they computed when they were recorded, by ${capability}`,
      async () => {
        expect(await train(capability, capability)).toBe(expected)
      }
    )
  }

  test('compute the same again, whichever process runs them', async () => {
    expect(await train('again', 'default')).toBe(await train('once more', 'default'))
  })
})
