import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals'
import type { Browser, Page } from 'playwright-core'
import { stringify } from 'yaml'
import { writePng } from '../../lib/data/image.js'
import { describeInBrowser, launch } from '../support/browser.js'
import { mactok } from '../support/cli.js'
import { device } from '../support/native.js'
import { type Served, serve } from '../support/served.js'
import { until } from '../support/until.js'

const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }
const tokenizer = { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit }
/** Steps of a few milliseconds; nothing that needs weights. */
const training = {
  tokenizer,
  batch: 4,
  steps: 1_000_000,
  precision: 'fp32',
  masking: { semantic: 0 },
  align: { local: false, global: false },
  optimizer: { lr: 1e-3 },
  log: { every: 10 },
  data: { heldOut: 2 },
  evaluation: { every: 100 },
  checkpoint: { every: 1_000_000 }
}
const generating = {
  generator: { width: 16, depth: 1, heads: 2 },
  steps: 20,
  batch: 4,
  precision: 'fp32',
  log: { every: 5 },
  checkpoint: { every: 20 }
}

let folder: string
const at = (...names: string[]) => join(folder, ...names)
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mactok-page-'))
  writeFileSync(at('tokenizer.yaml'), stringify(training))
  writeFileSync(at('generator.yaml'), stringify(generating))
  for (const name of ['birds', 'cats']) {
    mkdirSync(at('photos', name), { recursive: true })
    for (let i = 0; i < 4; i++) {
      const data = Uint8Array.from({ length: 30 * 20 * 3 }, (_, j) => (j * (i + 1) * (name.length + 7)) % 256)
      await writePng(at('photos', name, `${i}.png`), { data, width: 30, height: 20 })
    }
  }
})
afterAll(() => rmSync(folder, { recursive: true }))

const train = (...args: string[]) => [
  'train',
  'tokenizer',
  '--config',
  at('tokenizer.yaml'),
  '--data',
  at('photos'),
  '--out',
  at('run'),
  '--device',
  device,
  '--threads',
  '1',
  '--json',
  ...args
]

describeInBrowser('in a browser', () => {
  let browser: Browser
  let page: Page
  let complaints: string[]
  let running: Served | undefined
  beforeAll(async () => {
    browser = await launch()
  })
  afterAll(() => browser.close())
  beforeEach(async () => {
    page = await browser.newPage()
    page.setDefaultTimeout(30_000)
    complaints = []
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(error.message))
  })
  afterEach(async () => {
    running?.interrupt()
    await running?.ended
    running = undefined
    await page.close()
    expect(complaints).toEqual([])
  })

  const step = async () => Number((await page.textContent('#step'))?.replace(/ of .*/, '').replaceAll(',', ''))
  const growsBeyond = async (than: number) => {
    while ((await step()) <= than) await page.waitForTimeout(100)
  }
  const shows = (selector: string, text: string) => page.waitForSelector(`${selector}:text-is("${text}")`)
  /** An expression's value in the browser. */
  const read = (expression: string) => page.evaluate(expression)
  /** What reaches over the right edge, but for what scrolls in a box of its own. */
  const overflowing = () =>
    page.evaluate<string[]>(`[...document.querySelectorAll('body *')]
      .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.table, pre, .grid'))
      .map((one) => one.outerHTML.slice(0, 100))`)
  const badge = (state: string) => page.waitForSelector(`#badge[data-state=${state}]`)

  test('a training is watched, paused, saved, tried out, resumed and stopped', async () => {
    running = await serve(train('--ui'))
    await page.goto(running.url)
    await badge('running')
    await page.waitForSelector('.chart canvas')
    await growsBeyond(50)
    await growsBeyond(await step())
    expect(await page.textContent('h1')).toBe('run')
    expect(await page.textContent('#rate')).toMatch(/images\/s$/)
    expect(await page.textContent('#memory')).toMatch(/^\d+\.\d\d GB of \d+ GB$/)
    expect(await page.textContent('#left')).toMatch(/ (h|min|s)/)
    expect(await page.textContent('#saved')).toBe('none yet')
    await page.waitForSelector('.chart:has-text("reconstruction") canvas')

    await page.click('#pause')
    await badge('paused')
    const logged = readFileSync(at('run', 'metrics.jsonl'), 'utf8').trim().split('\n').at(-1) as string
    const held: number = JSON.parse(logged).step
    await until(async () => (await step()) === held)
    await page.waitForTimeout(1200)
    expect(await step()).toBe(held)

    await page.click('#checkpoint')
    await page.waitForSelector('#saved:has-text("step")')
    await page.setInputFiles('#file', at('photos', 'birds', '1.png'))
    await page.waitForSelector('#results:not([hidden])')
    await shows('#masked-caption', '8 of 16 patches masked')
    for (const name of ['original', 'masked', 'reconstruction', 'error']) {
      expect(await read(`document.getElementById('${name}').naturalWidth`)).toBe(16)
    }
    expect(await page.textContent('#quality')).toMatch(/^reconstruction, \d+\.\d dB$/)
    const masked = await page.getAttribute('#masked', 'src')
    await page.click('#again')
    while ((await page.getAttribute('#masked', 'src')) === masked) await page.waitForTimeout(50)
    await page.fill('#ratio', '1')
    await shows('#masked-caption', '16 of 16 patches masked')

    await page.click('#pause')
    await badge('running')
    await growsBeyond(held)

    await page.click('#stop')
    await page.click('#confirm button[value=yes]')
    await page.waitForSelector('#message:has-text("The training has ended")')
    expect(await running.ended).toBe(130)
    expect(readFileSync(at('run', 'metrics.jsonl'), 'utf8').trim().split('\n').length).toBeGreaterThan(5)
  })

  test('a finished run is shown without buttons, to several clients', async () => {
    running = await serve(['ui', at('run'), '--json', '--device', device])
    await page.goto(running.url)
    await badge('watching')
    await page.waitForSelector('.chart canvas')
    expect(await page.isVisible('#controls')).toBe(false)
    expect(await page.textContent('#about')).toContain('not trained by this process')
    await page.setInputFiles('#file', {
      name: 'no.png',
      mimeType: 'image/png',
      buffer: Buffer.from('no image at all')
    })
    await page.waitForSelector('#playground-note:has-text("Expected an image")')
    // The refusal itself is what a browser calls an error.
    expect(complaints.splice(0)).toEqual([expect.stringContaining('422')])
  })

  test('the page fits a phone, in light and dark mode', async () => {
    running = await serve(['ui', at('run'), '--json', '--device', device])
    await page.setViewportSize({ width: 360, height: 740 })
    const grounds = new Set<unknown>()
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      await page.goto(running.url)
      await page.waitForSelector('.chart canvas')
      expect(await overflowing()).toEqual([])
      grounds.add(await read('getComputedStyle(document.body).backgroundColor'))
    }
    expect(grounds.size).toBe(2)
  })

  test("a generator's classes are sampled", async () => {
    const encoded = await mactok([
      'encode',
      at('run'),
      '--data',
      at('photos'),
      '--out',
      at('latents'),
      '--device',
      device
    ])
    expect(encoded.code).toBe(0)
    const sit = ['train', 'generator', '--config', at('generator.yaml'), '--latents', at('latents'), '--out', at('sit')]
    const trained = await mactok([...sit, '--tokenizer', at('run'), '--device', device])
    expect(trained).toMatchObject({ code: 0 })
    running = await serve(['ui', at('sit'), '--json', '--device', device])
    await page.goto(running.url)
    await badge('done')
    await page.waitForSelector('#sample:not([hidden])')
    expect(await page.$$eval('#class option', (options) => options.map((option) => option.textContent))).toEqual([
      'all, in turn',
      'birds',
      'cats'
    ])
    await page.fill('#count', '3')
    await page.click('#draw')
    await page.waitForSelector('#samples img[alt="Sample 3, birds"]')
    expect(await page.$$eval('#samples img', (images) => images.map((image) => image.getAttribute('alt')))).toEqual([
      'Sample 1, birds',
      'Sample 2, cats',
      'Sample 3, birds'
    ])
  })

  test('reports of both are self-contained', async () => {
    await page.context().setOffline(true)
    for (const run of ['run', 'sit']) {
      const { code, stdout } = await mactok(['report', at(run), '--json', '--device', device])
      expect(code).toBe(0)
      const { file, missing } = JSON.parse(stdout)
      expect(missing).toEqual([])
      const requests: string[] = []
      page.on('request', (request) => requests.push(request.url()))
      await page.goto(pathToFileURL(file).href)
      await page.waitForSelector('.chart canvas')
      expect(requests.filter((url) => !url.startsWith('data:'))).toEqual([pathToFileURL(file).href])
      page.removeAllListeners('request')
      await page.setViewportSize({ width: 360, height: 740 })
      // The charts follow the width.
      await until(async () => (await overflowing()).length === 0)
      expect(await overflowing()).toEqual([])
    }
  })
})
