import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Browser, Page } from 'playwright-core'
import sharp from 'sharp'
import { exportOnnx } from '../../lib/interchange/onnx/export.js'
import { tensor } from '../../lib/tensor/tensor.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { describeInBrowser, launch } from '../support/browser.js'
import { gradient, png, Workplace } from '../support/images.js'
import { images, randomiseWeights, tokenizers } from '../support/models.js'
import { device } from '../support/native.js'

const script = fileURLToPath(new URL('../../examples/browser/serve.mjs', import.meta.url))

describeInBrowser('examples/browser', () => {
  const place = new Workplace()
  let browser: Browser
  let server: ChildProcess
  let page: Page
  const problems: string[] = []

  beforeAll(async () => {
    using tokenizer = await Tokenizer.create({ ...images, ...tokenizers.kl }, { device })
    await tokenizer.save(place.path('model'))
    await randomiseWeights(place.path('model'))
    await exportOnnx(place.path('model'), { out: place.path('graphs') })
    server = spawn(process.execPath, [script, place.path('graphs'), '0'], { stdio: ['ignore', 'pipe', 'inherit'] })
    const url = await new Promise<string>((resolve) => server.stdout?.once('data', (text) => resolve(`${text}`.trim())))
    browser = await launch()
    page = await browser.newPage()
    page.on('pageerror', ({ message }) => problems.push(message))
    await page.goto(url)
    await page.waitForSelector('#file:enabled', { state: 'attached' })
  })

  afterAll(async () => {
    await browser?.close()
    server?.kill()
  })

  /** The levels of a canvas, [1, H, W, 3]. */
  const levels = async (id: string): Promise<Uint8Array> => {
    const read = `document.getElementById('${id}').getContext('2d').getImageData(0, 0, 32, 32).data`
    const pixels = await page.evaluate<number[]>(`Array.from(${read})`)
    return Uint8Array.from(pixels.filter((_, i) => i % 4 !== 3))
  }

  test('reconstructs an image as the tokenizer does', async () => {
    expect(await page.textContent('#about')).toContain('32 × 32 pixels become 8 tokens of 6 numbers')
    const buffer = await png(gradient(48, 40, 90))
    await page.setInputFiles('#file', { name: 'gradient.png', mimeType: 'image/png', buffer })
    await page.waitForSelector('#status:text("Encoded in")')
    using tokenizer = await Tokenizer.load(place.path('model'), { device })
    using original = tensor(await levels('original'), [1, 32, 32, 3], { device })
    using latents = await tokenizer.encode(original)
    using decoded = await tokenizer.decode(latents)
    const planes = await decoded.data()
    const expected = Uint8ClampedArray.from({ length: 3072 }, (_, i) =>
      Math.round(((planes[(i % 3) * 1024 + Math.floor(i / 3)] as number) + 1) * 127.5)
    )
    const shown = await levels('reconstruction')
    expect(Math.max(...shown.map((level, i) => Math.abs(level - (expected[i] as number))))).toBeLessThanOrEqual(1)
    expect(new Set(shown).size).toBeGreaterThan(50)
    expect(problems).toEqual([])
  })

  test('shows nothing of an earlier image where the next is transparent', async () => {
    const buffer = await sharp({ create: { width: 32, height: 32, channels: 4, background: '#0000' } })
      .png()
      .toBuffer()
    await page.setInputFiles('#file', { name: 'transparent.png', mimeType: 'image/png', buffer })
    await page.waitForSelector('#status:text("Encoded in")')
    expect([...new Set(await levels('original'))]).toEqual([0])
  })

  test('says what is wrong with a file that is no image', async () => {
    await page.setInputFiles('#file', { name: 'a.png', mimeType: 'image/png', buffer: Buffer.from('none') })
    await page.waitForSelector('#status:text("This image cannot be shown")')
  })
})

describe('the server of examples/browser', () => {
  const place = new Workplace()

  test('answers wrong addresses, and goes on', async () => {
    await place.write('graphs/encoder.onnx', 'a graph')
    await place.write('graphs/folder/a.onnx', '')
    const server = spawn(process.execPath, [script, place.path('graphs'), '0'], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    try {
      const [line] = await once(server.stdout, 'data')
      const statuses: number[] = []
      for (const path of ['//', '/graphs/folder', '/..%2fserve.mjs', '/', '/graphs/encoder.onnx?again']) {
        statuses.push((await fetch(String(line).trim().slice(0, -1) + path)).status)
      }
      expect(statuses).toEqual([404, 404, 404, 200, 200])
    } finally {
      server.kill()
    }
  })
})
