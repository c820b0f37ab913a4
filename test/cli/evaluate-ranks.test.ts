import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from '@jest/globals'
import { Generator } from '../../lib/generator/generator.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { mactok } from '../support/cli.js'
import { gradient, png, Workplace } from '../support/images.js'
import { testWith, WEIGHTS } from '../support/paths.js'

const place = new Workplace()
const inception = join(WEIGHTS, 'inception-fid')

testWith(inception, 'evaluate generation among two ranks gives the metrics of one process', async () => {
  using generator = await Generator.create(
    { width: 16, depth: 1, heads: 2, latentShape: [32, 16], classes: 3 },
    { device: 'cpu' }
  )
  using tokenizer = await Tokenizer.create('tiny-32', { device: 'cpu' })
  await generator.save(place.path('generator'))
  await tokenizer.save(place.path('tokenizer'))
  for (let i = 0; i < 5; i++) await place.write(`real/${i}.png`, await png(gradient(32, 32, 40 * i)))
  const evaluate = (out: string, env: Record<string, string> = {}, ...args: string[]) =>
    mactok(
      [
        'evaluate',
        'generation',
        place.path('generator'),
        '--tokenizer',
        place.path('tokenizer'),
        '--reference',
        place.path('real'),
        '--inception',
        inception,
        '--metrics',
        'kid',
        '--count',
        '7',
        '--batch',
        '2',
        '--steps',
        '1',
        '--out',
        place.path(out),
        '--device',
        'cpu',
        ...args
      ],
      { env }
    )
  expect((await evaluate('alone')).code).toBe(0)
  const first = await evaluate('shared', { RANK: '1', WORLD_SIZE: '2' })
  expect(first.stdout).toBe(
    `rank 1 of 2: ${place.path('shared')}: drawn; 2 batches to come from other ranks, the last of which evaluates all\n`
  )
  expect((await evaluate('shared', { RANK: '0', WORLD_SIZE: '2' })).code).toBe(0)
  const result = (out: string) => readFileSync(place.path(`${out}/evaluation.json`), 'utf8')
  expect(result('shared')).toBe(result('alone'))
  const sweep = await evaluate('sweep', { RANK: '0', WORLD_SIZE: '2' }, '--sweep', 'guidance')
  expect(sweep).toMatchObject({ code: 2, stderr: expect.stringContaining('no --sweep among several ranks') })
})
