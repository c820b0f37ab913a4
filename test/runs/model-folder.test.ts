import { rmSync, writeFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, test } from '@jest/globals'
import { writeCheckpoint } from '../../lib/runs/checkpoint.js'
import { findModel, retryIfDeleted, writeConfig } from '../../lib/runs/model-folder.js'
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
