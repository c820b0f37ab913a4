import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { importWeights } from '../../lib/interchange/import.js'
import { tokenizerSchema } from '../../lib/tokenizer/schema.js'
import { findWeights, openDinov2, readSafetensors, writeSafetensors } from '../../lib/weights/index.js'
import { describeWith, WEIGHTS } from '../support/paths.js'

const environment = { ...process.env }
let folder: string
let cache: string

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'mactok-import-cache-'))
  cache = path.join(folder, 'cache')
  process.env = { ...environment, MACTOK_CACHE: cache, MACTOK_WEIGHTS: path.join(folder, 'own') }
})
afterEach(async () => {
  process.env = environment
  await rm(folder, { recursive: true })
})

const empty = (place: string) => writeSafetensors(path.join(place, 'model.safetensors'), [])

describe('importing into the cache', () => {
  const golden = fileURLToPath(new URL('../golden', import.meta.url))

  /** A golden file's weights as their own checkpoint. */
  async function checkpoint(name: string, config?: object): Promise<string> {
    const place = path.join(folder, name)
    await using file = await readSafetensors(path.join(golden, `${name}.safetensors`))
    const own = file.names().filter((key) => key.startsWith('w.'))
    const tensors = own.map((key) => ({
      name: key.slice(2),
      dtype: file.dtype(key),
      shape: file.info(key).shape,
      data: () => file.bytes(key)
    }))
    await writeSafetensors(path.join(place, 'model.safetensors'), tensors)
    if (config) await writeFile(path.join(place, 'config.json'), JSON.stringify(config))
    return place
  }

  test.each([
    ['tokenizer_kl', 'kl', 16],
    ['tokenizer_maetok', 'ae', 8]
  ])('%s of continuous_tokenizer becomes a model folder', async (name, bottleneck, tokens) => {
    const source = await checkpoint(name, { num_attention_heads: 2 })
    const imported = await importWeights(source, { name: 'mine' })
    expect(imported).toMatchObject({ folder: path.join(cache, 'weights/mine'), kind: 'tokenizer' })
    const config = JSON.parse(await readFile(path.join(imported.folder, 'config.json'), 'utf8'))
    expect(config).toMatchObject({ formatVersion: 1, model: 'tokenizer' })
    expect(tokenizerSchema.parse(config.tokenizer)).toMatchObject({
      imageSize: 32,
      latentTokens: tokens,
      bottleneck,
      encoder: { heads: 2 }
    })
    await using result = await readSafetensors(path.join(imported.folder, 'model.safetensors'))
    await using original = await readSafetensors(path.join(source, 'model.safetensors'))
    expect(await result.bytes('to_pixels.weight')).toEqual(await original.bytes('decoder.to_pixel.model.weight'))
    expect(await findWeights('mine')).toBe(imported.folder)
  })

  test('settings that shapes do not determine must be given', async () => {
    await expect(importWeights(await checkpoint('tokenizer_kl'), { name: 'x' })).rejects.toThrow(
      'The number of heads for width 32 is unknown'
    )
  })

  test('other files are rejected', async () => {
    await empty(folder)
    await expect(importWeights(folder, { name: 'x' })).rejects.toThrow(
      "is neither a DINOv2, nor FID's Inception, nor a continuous_tokenizer"
    )
    await expect(importWeights(folder, { name: '../x' })).rejects.toThrow(RangeError)
  })

  test('an invalid config.json is named', async () => {
    await empty(folder)
    await writeFile(path.join(folder, 'config.json'), '{')
    await expect(importWeights(folder, { name: 'x' })).rejects.toThrow(
      `${path.join(folder, 'config.json')} is not JSON`
    )
  })
})

const small = path.join(WEIGHTS, 'dinov2-small')

describeWith(small, 'the real DINOv2-small', () => {
  test('has the known configuration, and the same after an import', async () => {
    const opened = await openDinov2(small)
    // facebook/dinov2-small: ViT-S/14 at 518 pixels.
    expect(opened.config).toEqual({
      vit: {
        width: 384,
        depth: 12,
        heads: 6,
        mlpRatio: 4,
        mlp: 'gelu',
        layerScale: 1,
        cls: true,
        registers: 0,
        positions: 'learned',
        ropeTheta: 10,
        normEps: 1e-6
      },
      patchSize: 14,
      grid: 37
    })
    // 4 + 14 × 12 + 2 tensors, as timm's vit_small_patch14_dinov2.
    expect(opened.weights.size).toBe(174)
    await mkdir(path.join(folder, 'copy'))
    await cp(small, path.join(folder, 'copy'), { recursive: true })
    await importWeights(path.join(folder, 'copy'), { name: 'mine' })
    const imported = await openDinov2('mine')
    expect(imported.config).toEqual(opened.config)
    for (const name of ['blocks.11.attn.qkv.weight', 'pos_embed', 'norm.bias']) {
      expect(await imported.weights.get(name)?.bytes()).toEqual(await opened.weights.get(name)?.bytes())
    }
    await opened.close()
    await imported.close()
  })
})
