import { execFileSync } from 'node:child_process'
import { cpSync, rmSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { openLatents } from '../../lib/latents/index.js'
import { inspect } from '../../lib/report/inspect.js'
import { readMetrics } from '../../lib/runs/metrics.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { Workplace } from '../support/images.js'
import { twoClassShards } from '../support/latents.js'
import { device } from '../support/native.js'
import { testWhere } from '../support/paths.js'

const place = new Workplace()
const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }
const config = { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit }

beforeAll(async () => {
  await place.write('run/metrics.jsonl', '{"step":1}\n')
  await twoClassShards(place.path('shards'))
  using tokenizer = await Tokenizer.create(config, { device })
  await tokenizer.save(place.path('model'))
})

/** A copy of a folder in which a file is a named pipe that nobody writes to. */
function withPipe(folder: string, file: string): string {
  const copy = place.path(`${folder} with ${file}`)
  cpSync(place.path(folder), copy, { recursive: true })
  rmSync(`${copy}/${file}`, { force: true })
  execFileSync('mkfifo', [`${copy}/${file}`])
  return copy
}

describe('a named pipe, which would wait for a writer and ignore every signal, is refused', () => {
  const testWithPipes = testWhere(process.platform !== 'win32', 'named pipes, which Windows lacks')

  testWithPipes('as run.json', async () => {
    await expect(inspect(withPipe('run', 'run.json'))).rejects.toMatchObject({ code: 'ERR_FORMAT' })
  })

  testWithPipes('as metrics.jsonl, where it is no log', () => {
    expect(readMetrics(withPipe('run', 'metrics.jsonl'))).toEqual([])
  })

  for (const file of ['config.json', 'model.safetensors']) {
    testWithPipes(`as ${file} of a model`, async () => {
      await expect(Tokenizer.load(withPipe('model', file), { device })).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    })
  }

  for (const file of ['manifest.json', 'latents_rank00_shard001.safetensors']) {
    testWithPipes(`as ${file} of latents`, async () => {
      await expect(openLatents(withPipe('shards', file))).rejects.toThrow(`shards with ${file}`)
    })
  }

  test('and files are read as before', async () => {
    await using latents = await openLatents(place.path('shards'))
    expect(latents.count).toBe(64)
  })
})
