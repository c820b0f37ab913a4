import { rmSync, writeFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { MactokError } from '../../lib/errors.js'
import { checksum } from '../../lib/native/checksums.js'
import { writeCheckpoint } from '../../lib/runs/checkpoint.js'
import { type FindOptions, findAndLoad, findModel, retryIfDeleted, writeConfig } from '../../lib/runs/model-folder.js'
import { Workplace } from '../support/images.js'

const place = new Workplace()
const write = (run: string, step: number) =>
  writeCheckpoint(
    run,
    { step, samples: step, config: {}, versions: {} },
    async (folder) => {
      await writeFile(join(folder, 'model.safetensors'), `weights of ${step}`)
      await writeConfig(folder, 'sample', {})
      return {}
    },
    { keep: 1, keepEvery: null }
  )

test('a model whose checkpoint a training deletes while it is loaded is loaded from the next', async () => {
  const run = place.path('run')
  await write(run, 1)
  let loads = 0
  const loaded = await retryIfDeleted(run, async () => {
    const { weights } = await findModel(run, 'sample', true)
    loads += 1
    // The training is at its next checkpoint, and keeps one.
    if (loads < 3) await write(run, 1 + loads)
    return readFile(weights, 'utf8')
  })
  expect([loads, loaded]).toEqual([3, 'weights of 3'])
})

test('any other failure is not repeated', async () => {
  const run = place.path('broken')
  const folder = await write(run, 1)
  const load = async () => {
    const { weights } = await findModel(run, 'sample', true)
    rmSync(weights)
    writeFileSync(join(dirname(weights), 'state.json'), '{}')
    return readFile(weights, 'utf8')
  }
  await expect(retryIfDeleted(run, load)).rejects.toThrow('ENOENT')
  await expect(retryIfDeleted(folder, async () => Promise.reject(new Error('no')))).rejects.toThrow('no')
})

test('one without the averaged weights that it had is not taken for its weights in training', async () => {
  const folder = place.path('incomplete')
  await mkdir(folder)
  for (const name of ['model', 'ema']) await writeFile(join(folder, `${name}.safetensors`), name)
  const names = ['model.safetensors', 'ema.safetensors']
  const checksums = await Promise.all(names.map(async (name) => [name, await checksum(join(folder, name))]))
  await writeConfig(folder, 'sample', {}, Object.fromEntries(checksums))
  expect((await findModel(folder, 'sample', false)).weights).toBe(join(folder, 'ema.safetensors'))
  rmSync(join(folder, 'ema.safetensors'))
  await expect(findModel(folder, 'sample', false)).rejects.toMatchObject({
    code: 'ERR_FORMAT',
    message: `${folder} is incomplete: copy ema.safetensors, the averaged weights, to it, or ask for those in training (\`raw\`)`
  })
  expect((await findModel(folder, 'sample', true)).weights).toBe(join(folder, 'model.safetensors'))
})

describe('a model that is compared with its checksums', () => {
  const checksum = { crc32c: '00000000', recorded: 'config.json' }
  const damaged = () => Promise.reject(new MactokError('ERR_FORMAT', 'it is damaged'))
  /** A search that finds the newest, or after reading all that is verified; what it was asked for and what was loaded. */
  const watch = (newest: { name: string; checksum?: typeof checksum }, verified: () => Promise<{ name: string }>) => {
    const events: string[] = []
    const find = async ({ verify = false }: FindOptions) => {
      events.push(verify ? 'verify' : 'find')
      return verify ? { checksum, ...(await verified()) } : newest
    }
    const load = async ({ name }: { name: string }) => {
      events.push(`load ${name}`)
      return name === 'damaged' ? damaged() : name
    }
    return { events, run: async () => (await findAndLoad(find, load)).network }
  }

  test('is read once where they are compared while it is loaded', async () => {
    const { events, run } = watch({ name: 'newest', checksum }, damaged)
    expect(await run()).toBe('newest')
    expect(events).toEqual(['find', 'load newest'])
  })

  test('is loaded after they were compared, where they are of an older version', async () => {
    const { events, run } = watch({ name: 'newest' }, async () => ({ name: 'newest' }))
    expect(await run()).toBe('newest')
    expect(events).toEqual(['find', 'verify', 'load newest'])
  })

  test('gives way to the checkpoint before where it is damaged', async () => {
    const { events, run } = watch({ name: 'damaged', checksum }, async () => ({ name: 'older' }))
    expect(await run()).toBe('older')
    expect(events).toEqual(['find', 'load damaged', 'verify', 'load older'])
    await expect(watch({ name: 'damaged', checksum }, damaged).run()).rejects.toThrow('it is damaged')
  })

  test('fails as loading does for any other reason', async () => {
    const load = () => Promise.reject(new Error('no memory'))
    await expect(findAndLoad(async () => ({ checksum }), load)).rejects.toThrow('no memory')
  })
})
