import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { writePng } from '../../lib/data/image.js'
import { mactok } from '../support/cli.js'
import { Workplace } from '../support/images.js'

const workplace = new Workplace()
let photos: string
let config: string
beforeAll(async () => {
  photos = workplace.path('photos')
  for (const [label, level] of [0, 150].entries()) {
    mkdirSync(join(photos, `${label}`), { recursive: true })
    for (let i = 0; i < 6; i++) {
      const data = Uint8Array.from({ length: 16 * 16 * 3 }, (_, at) => level + ((at * (i + 3)) % 90))
      await writePng(join(photos, `${label}`, `${i}.png`), { data, width: 16, height: 16 })
    }
  }
  const vit = '{ width: 16, depth: 1, heads: 2, layerScale: 1 }'
  config = await workplace.write(
    'ablation.yaml',
    `data: ${photos}
heldOut: ${photos}
steps: 4
settings:
  tokenizer: { imageSize: 16, patchSize: 8, latentTokens: 4, latentChannels: 3, encoder: ${vit}, decoder: ${vit} }
  batch: 4
  evaluation: { every: 2 }
  log: { every: 2 }
`
  )
})

describe('mactok ablate', () => {
  const collapse = ['ablate', '--table', 'collapse', '--threads', '1']

  test('trains the rows, writes table and plots, and skips finished runs; probe reads its runs', async () => {
    const out = workplace.path('out')
    const args = [...collapse, '--config', config, '--out', out, '--arms', 'plain,latent-masking']
    const alone = await mactok([...args.slice(0, -1), 'plain', '--json'])
    const events = alone.stdout.trim().split('\n')
    const shown = { event: 'progress', arm: 'plain', seed: 0, features: null, total: 4 }
    expect(events.slice(0, -1).map((line) => JSON.parse(line))).toEqual(
      [0, 2, 4].map((step) => ({ ...shown, step, done: step }))
    )
    const first = await mactok(args)
    expect(first).toMatchObject({ code: 0 })
    expect(first.stdout).toMatch(/\| plain KL \| .+ \| 1 \|/)
    expect(first.stderr).toMatch(/8\/8 {2}latent-masking, seed 0/)
    expect(readFileSync(join(out, 'table.md'), 'utf8')).toBe(
      first.stdout.slice(0, first.stdout.lastIndexOf(`\n${out}`))
    )
    expect(existsSync(join(out, 'psnr.svg'))).toBe(true)
    const again = await mactok([...args, '--json'])
    expect(again.code).toBe(0)
    expect(again.stdout.trim().split('\n')).toHaveLength(1)
    expect(JSON.parse(again.stdout)).toMatchObject({ event: 'end', table: 'collapse', interrupted: false })

    const run = join(out, 'runs/plain/seed-0')
    const probe = await mactok(['probe', run, '--data', photos, '--features', 'flatten', '--json', '--threads', '1'])
    expect(probe.code).toBe(0)
    expect(JSON.parse(probe.stdout)).toMatchObject({ features: 'flatten', dimensions: 12, training: 10, validation: 2 })
    const probed = await mactok(['probe', run, '--data', photos, '--val', photos, '--threads', '1'])
    expect(probed.stdout).toMatch(/^features {4}mean, 3 numbers\n/)
  })

  test('ends with what its runs skipped and ignored, each once', async () => {
    const mixed = workplace.path('mixed')
    cpSync(photos, mixed, { recursive: true })
    writeFileSync(join(mixed, '0', '2.png'), 'no image')
    writeFileSync(join(mixed, '1', 'notes.txt'), '')
    const args = [
      '--config',
      config,
      '--data',
      mixed,
      '--out',
      workplace.path('mixed-out'),
      '--arms',
      'plain,latent-masking'
    ]
    const { code, stderr } = await mactok([...collapse, ...args])
    expect(code).toBe(0)
    expect(stderr.match(/skipped 0\/2\.png: damaged, or not an image/g)).toHaveLength(1)
    expect(stderr).toMatch(
      /ignored 1\/notes\.txt: not an image \(\.txt\)\n1 skipped, 1 ignored \(--json lists them\)\n$/
    )
    expect(stderr).not.toContain('Warning')
  })

  test('lists the rows of a table', async () => {
    const { code, stdout } = await mactok(['ablate', '--table', 'mask-ratio', '--list'])
    expect(code).toBe(0)
    expect(stdout).toContain('ratio-0.7  M = 0.7 (the best)\n')
  })

  test('exits 130 on SIGINT', async () => {
    const out = workplace.path('cut')
    const args = [...collapse, '--config', config, '--steps', '4000', '--out', out]
    let asked = false
    const { code, stderr } = await mactok(args, {
      onOutput: (text, child) => {
        if (!asked && /plain, seed 0, /.test(text)) asked = child.kill('SIGINT')
      }
    })
    expect(code).toBe(130)
    expect(stderr).toContain('Interrupted; run the same command again to resume')
  })

  test('refuses wrong usage with code 2', async () => {
    const wrong: [string[], string][] = [
      [['ablate', '--table', 'colapse'], "'colapse' is invalid"],
      [collapse, 'Expected --out <folder>'],
      [[...collapse, '--out', 'x'], 'Expected a string for data'],
      [[...collapse, '--out', 'x', '--config', config, '--arms', 'plane'], 'for arms but received'],
      [[...collapse, '--out', 'x', '--seeds', 'one'], 'Expected a number'],
      [['probe', '--data', photos], 'Expected either a tokenizer, or --teacher'],
      [['probe', 'run', '--data', photos, '--features', 'median'], 'Expected one of mean, flatten, cls, patches']
    ]
    for (const [args, message] of wrong) {
      const { code, stderr } = await mactok(args)
      expect(stderr).toContain(message)
      expect(code).toBe(2)
    }
    expect(existsSync('x')).toBe(false)
  })
})
