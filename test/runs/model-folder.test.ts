import { rmSync, writeFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
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

describe('a model that is loaded while its files are verified', () => {
  /** A network of a model's weights, and what happened. */
  const watch = () => {
    const events: string[] = []
    const load = async ({ weights }: { weights: string }) => {
      events.push(`load ${weights}`)
      return { weights, dispose: () => events.push(`dispose ${weights}`) }
    }
    return { events, load }
  }
  const finding =
    (events: string[], verified: () => Promise<{ weights: string }>) =>
    async ({ verify = false }: FindOptions) => {
      if (!verify) return { weights: 'newest' }
      events.push('verify')
      return verified()
    }

  test('is begun before they are, and is the one that is returned', async () => {
    const { events, load } = watch()
    const find = finding(events, async () => ({ weights: 'newest' }))
    expect((await findAndLoad(find, load)).network.weights).toBe('newest')
    expect(events).toEqual(['load newest', 'verify'])
  })

  test('is disposed where another checkpoint must be taken, or none can be', async () => {
    const { events, load } = watch()
    const older = finding(events, async () => ({ weights: 'older' }))
    expect((await findAndLoad(older, load)).network.weights).toBe('older')
    expect(events.splice(0)).toEqual(['load newest', 'verify', 'dispose newest', 'load older'])
    const none = finding(events, () => Promise.reject(new Error('it is damaged')))
    await expect(findAndLoad(none, load)).rejects.toThrow('it is damaged')
    expect(events).toEqual(['load newest', 'verify', 'dispose newest'])
  })

  test('fails as loading does where the files are whole, and as these do otherwise', async () => {
    const load = () => Promise.reject(new Error('no memory'))
    await expect(findAndLoad(async () => ({}), load)).rejects.toThrow('no memory')
    const damaged = async ({ verify = false }) => (verify ? Promise.reject(new Error('it is damaged')) : {})
    await expect(findAndLoad(damaged, load)).rejects.toThrow('it is damaged')
  })
})
