import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { cacheFolder, findWeights, locateWeights, writeSafetensors } from '../../lib/weights/index.js'
import { locateModel } from '../../lib/weights/locate.js'

const environment = { ...process.env }
let folder: string
let cache: string

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'mactok-locate-'))
  cache = path.join(folder, 'cache')
  process.env = {
    ...environment,
    MACTOK_CACHE: cache,
    MACTOK_WEIGHTS: path.join(folder, 'own'),
    HF_HUB_CACHE: path.join(folder, 'hub')
  }
})
afterEach(async () => {
  process.env = environment
  await rm(folder, { recursive: true })
})

const empty = (place: string) => writeSafetensors(path.join(place, 'model.safetensors'), [])

describe('finding weights', () => {
  test('prefers MACTOK_WEIGHTS, then what was imported, then what was pulled', async () => {
    const places = [
      path.join(cache, 'weights/facebook/dinov2-small'),
      path.join(cache, 'weights/dinov2-small'),
      path.join(folder, 'own/dinov2-small')
    ]
    for (const place of places) {
      await empty(place)
      expect(await findWeights('dinov2-small')).toBe(place)
    }
    expect(await locateWeights('facebook/dinov2-small')).toBe(places[0])
  })

  test("takes the snapshot that Python's huggingface_hub has, after all others", async () => {
    const cached = path.join(folder, 'hub/models--facebook--dinov2-small')
    const snapshot = path.join(cached, 'snapshots', 'a1'.repeat(20))
    await empty(snapshot)
    expect(await locateWeights('dinov2-small')).toBeUndefined()
    await mkdir(path.join(cached, 'refs'))
    await writeFile(path.join(cached, 'refs/main'), 'a1'.repeat(20))
    expect(await findWeights('dinov2-small')).toBe(snapshot)
    expect(await findWeights('facebook/dinov2-small')).toBe(snapshot)
    expect(await locateModel('facebook/dinov2-small')).toBe(snapshot)
    await writeFile(path.join(cached, 'refs/main'), '../../../outside')
    expect(await locateWeights('dinov2-small')).toBeUndefined()
    expect(await locateModel('facebook/dinov2-small')).toBe('facebook/dinov2-small')
  })

  test('takes a path to a folder or to a file', async () => {
    const place = path.join(folder, 'somewhere')
    await empty(place)
    expect(await findWeights(place)).toBe(place)
    expect(await findWeights(path.join(place, 'model.safetensors'))).toBe(path.join(place, 'model.safetensors'))
  })

  test('lists the places searched and how to get the weights', async () => {
    const finding = findWeights('dinov2-small')
    await expect(finding).rejects.toMatchObject({ name: 'MactokError', code: 'ERR_FORMAT' })
    await expect(finding).rejects.toThrow(
      [
        'The weights dinov2-small were not found. Searched',
        `  ${path.join(folder, 'own/dinov2-small')}`,
        `  ${path.join(cache, 'weights/dinov2-small')}`,
        `  ${path.join(cache, 'weights/facebook/dinov2-small')}`,
        `  ${path.join(folder, 'hub/models--facebook--dinov2-small')}`,
        'Get them with `mactok weights pull facebook/dinov2-small`, or set MACTOK_WEIGHTS to a folder that has dinov2-small/model.safetensors.'
      ].join('\n')
    )
    expect(await locateWeights('dinov2-small')).toBeUndefined()
  })

  test.each(['../x', '', 'a/b/c', 'a b'])('refuses the name %j', async (name) => {
    const wrong = findWeights(name)
    if (name === '../x') await expect(wrong).rejects.toThrow('were not found')
    else await expect(wrong).rejects.toThrow(name === '' ? TypeError : RangeError)
  })

  test('the environment determines the cache folder', () => {
    expect(cacheFolder({ MACTOK_CACHE: '/a/b' })).toBe('/a/b')
    expect(cacheFolder({ XDG_CACHE_HOME: '/x' })).toBe(path.join('/x', 'mactok'))
  })
})
