import { readFile, writeFile } from 'node:fs/promises'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { openLatents, openLatentWriter } from '../../lib/latents/index.js'
import { inspect } from '../../lib/report/inspect.js'
import { findCheckpoints } from '../../lib/runs/checkpoint.js'
import { MetricsLog, readMetrics, readMetricsList } from '../../lib/runs/metrics.js'
import { findTokenizer } from '../../lib/tokenizer/folder.js'
import { openWeightsFile } from '../../lib/weights/weights-file.js'
import { Workplace } from '../support/images.js'
import { twoClassShards } from '../support/latents.js'

const place = new Workplace()

/** More brackets than `JSON.stringify` and conversion to text can visit. */
const deep = '['.repeat(20_000) + ']'.repeat(20_000)
/** An object that no text can be made of. */
const wordless = '{"toString":null,"valueOf":null}'
const notOurs = { code: 'ERR_FORMAT' }

describe('JSON with values that cannot be shown', () => {
  const cases: [what: string, value: string][] = [
    ['nested 20,000 deep', deep],
    ['without a text', wordless]
  ]

  test.each(cases)('in state.json: %s', async (what, value) => {
    const run = place.path(`state ${what}`)
    for (const content of [`{"step":1,"files":{},"sha256":{},"config":${value}}`, `{"step":${value},"files":{}}`]) {
      await place.write(`state ${what}/checkpoints/step-0000001/state.json`, content)
      const { newest, damaged } = await findCheckpoints(run)
      expect([newest, damaged]).toEqual([null, [expect.stringContaining('state.json')]])
    }
  })

  test.each(cases)('in config.json: %s', async (what, value) => {
    await place.write(`config ${what}/model.safetensors`, '')
    await place.write(`config ${what}/config.json`, `{"formatVersion":1,"model":${value}}`)
    await expect(findTokenizer(place.path(`config ${what}`))).rejects.toMatchObject(notOurs)
  })

  test.each(cases)('in run.json: %s', async (what, value) => {
    await place.write(`run ${what}/run.json`, `{"formatVersion":1,"kind":${value}}`)
    await expect(inspect(place.path(`run ${what}`))).rejects.toMatchObject(notOurs)
  })

  test.each(cases)('in latents_stats.json: %s', async (what, value) => {
    const folder = await twoClassShards(place.path(`statistics ${what}`))
    await writeFile(`${folder}/latents_stats.json`, `{"sample_shape":${value},"mean":[0],"std":[1],"scalar":{}}`)
    await using shards = await openLatents(folder)
    await expect(shards.statistics()).rejects.toMatchObject(notOurs)
  })

  test('in a header of safetensors', async () => {
    const header = `{"a":{"dtype":${deep},"shape":[],"data_offsets":[0,0]}}`
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(header.length))
    const file = await place.write('deep.safetensors', Buffer.concat([length, Buffer.from(header)]))
    await expect(openWeightsFile(file)).rejects.toMatchObject(notOurs)
  })

  test('in metrics.jsonl, whose other lines are kept', async () => {
    await place.write('metrics/metrics.jsonl', `{"step":1,"loss":{"kl":2}}\n{"step":2,"loss":${deep}}\n`)
    expect(readMetrics(place.path('metrics'))).toEqual([{ step: 1, loss: { kl: 2 } }])
    new MetricsLog(place.path('metrics'), 2).close()
    expect(await readFile(place.path('metrics/metrics.jsonl'), 'utf8')).toBe('{"step":1,"loss":{"kl":2}}\n')
  })
})

test.each(['{}', 'null', '[null]', '[{"step":"1"}]', deep])('a list of metrics that is none: %.20s', async (text) => {
  await expect(readMetricsList(await place.write('generation.json', text))).rejects.toMatchObject(notOurs)
})

describe('a manifest of shards', () => {
  const change = async (name: string, changes: object) => {
    const folder = await twoClassShards(place.path(name))
    const file = `${folder}/manifest.json`
    // With its checksum it would be refused for that.
    const { sha256: _, ...content } = JSON.parse(await readFile(file, 'utf8'))
    await writeFile(file, JSON.stringify({ ...content, ...changes }))
    return folder
  }
  let number = 0

  test.each([
    ['no records', { shards: [null] }],
    ['no records, incomplete', { shards: [null], complete: false }],
    ['records without names', { shards: [{ file: 'a' }] }],
    ['a record with a name that no file has', { shards: [{ file: '\0', names: [] }] }],
    ['a record of a file elsewhere', { shards: [{ file: '../a', names: [] }] }],
    ['a count that is none', { count: { toString: null, valueOf: null } }],
    ['classes that are no names', { classes: [7] }],
    ['classes that are no list', { classes: { length: 1e9 } }],
    ['no plan', { plan: null }]
  ])('with %s', async (_, changes) => {
    await expect(openLatents(await change(`shards ${number++}`, changes))).rejects.toMatchObject(notOurs)
  })

  test('without a plan is not written on', async () => {
    const folder = await change('shards without a plan', { plan: null })
    const plan = {
      names: ['a'],
      labels: [0],
      shape: [4, 3],
      dtype: 'float32',
      moments: false,
      shardSize: 1,
      tokenizer: 'x'
    }
    await expect(openLatentWriter(folder, plan as never)).rejects.toMatchObject(notOurs)
  })
})

describe('a file of torch.save', () => {
  /** A list that holds the one before twice, 100 times over: 2¹⁰⁰ elements in a few hundred bytes. */
  let doubled: Buffer
  beforeAll(() => {
    const levels = Array.from({ length: 100 }, (_, i) =>
      Buffer.from([0x71, i, 0x30, 0x5d, 0x28, 0x68, i, 0x68, i, 0x65])
    )
    doubled = Buffer.concat([Buffer.from([0x80, 2, 0x5d]), ...levels, Buffer.from('.')])
  })

  test('whose magic number is a list that doubles', async () => {
    const file = await place.write('doubled.pt', doubled)
    await expect(openWeightsFile(file)).rejects.toThrow('it has neither format of torch.save')
  })
})
