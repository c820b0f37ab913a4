import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import type { Server } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Browser, Page } from 'playwright-core'
import type { Bridge, Project, Samples, TrainingProgress } from '../../examples/electron/protocol.js'
import { connectPage, servePage, startWorker } from '../../scripts/electron-page.mjs'
import { describeInBrowser, launch } from '../support/browser.js'
import { connect, runPreload } from '../support/electron.js'
import { gradient, png, Workplace } from '../support/images.js'

/** The addon that ships; one thread, which shares its core with other tests' threads. */
const env = { MACTOK_ADDON: undefined, OMP_NUM_THREADS: '1' }

/** Ends a worker, whose last messages have come then; called before the folders are removed that it writes to. */
async function end(worker: ChildProcess): Promise<void> {
  worker.kill()
  if (worker.connected) await once(worker, 'disconnect')
  if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit')
}

describe('the preload', () => {
  test('exposes one function and sends what the protocol names', async () => {
    const { exposed, sent, receive, bridge } = runPreload()
    expect(exposed).toEqual({ mactok: { request: expect.any(Function) } })
    const reports: unknown[] = []
    const encoding = bridge.request('encode', {}, (progress) => reports.push(progress))
    encoding.cancel()
    const looking = bridge.request('look', { count: 1, ratio: 0, seed: 0 })
    expect(sent).toEqual([
      ['call', { id: 1, request: 'encode', parameters: {} }],
      ['call', { id: 1, cancel: true }],
      ['call', { id: 2, request: 'look', parameters: { count: 1, ratio: 0, seed: 0 } }]
    ])
    receive('reply', { id: 2, error: 'Open a folder of images first' })
    receive('reply', { id: 1, progress: { done: 1, total: 2 } })
    receive('reply', { id: 1, result: { latents: 1 } })
    receive('reply', { id: 7, result: 'nobody waits for this' })
    await expect(looking.result).rejects.toThrow('Open a folder of images first')
    expect(await encoding.result).toEqual({ latents: 1 })
    expect(reports).toEqual([{ done: 1, total: 2 }])
  })

  test('refuses other requests', () => {
    const { sent, bridge } = runPreload()
    for (const name of ['toString', 'quit', '__proto__']) {
      expect(() => bridge.request(name as 'encode', {})).toThrow(`but received ${name}`)
    }
    expect(sent).toEqual([])
  })

  test('rejects what is waiting when the worker ends', async () => {
    const { receive, bridge } = runPreload()
    const { result } = bridge.request('encode', {})
    receive('reply', { ended: 139 })
    await expect(result).rejects.toThrow('The worker ended with code 139')
  })
})

describe('the worker', () => {
  let worker: ChildProcess
  let bridge: Bridge
  afterAll(() => end(worker))
  const place = new Workplace()

  beforeAll(async () => {
    for (let i = 0; i < 400; i++) await place.write(`photos/${i}.png`, await png(gradient(40, 32, (i * 6) % 256)))
    worker = startWorker(place.path('electron'), env)
    bridge = connect(worker, place.path('photos'))
  })

  test('asks for a folder first, and says what is wrong with one', async () => {
    await expect(bridge.request('encode', {}).result).rejects.toThrow('Open a folder of images first')
    const { result } = connect(worker, place.path('nowhere')).request('open', {})
    await expect(result).rejects.toThrow('nowhere')
  })

  test('opens a folder and shows images and masks before there is a tokenizer', async () => {
    const project = await bridge.request('open', {}).result
    expect(project).toEqual({ name: 'photos', images: 400, tokenizer: null, latents: null, generator: null })
    const gallery = await bridge.request('look', { count: 3, ratio: 0.25, seed: 1 }).result
    expect(gallery).toMatchObject({ size: 64, reconstructions: null, psnr: null })
    expect(gallery.masks.map((mask) => mask.reduce((sum, one) => sum + one, 0))).toEqual([16, 16, 16])
    expect(gallery.masks[0]).not.toEqual(gallery.masks[1])
    // Red grows rightwards, and the first image's blue is 0.
    const [first] = gallery.originals
    expect([first?.length, first?.[2], first?.[3]]).toEqual([64 * 64 * 4, 0, 255])
    expect(first?.[63 * 4]).toBeGreaterThan(first?.[0] as number)
  })

  test('trains a tokenizer with metrics, stops when it is cancelled, and resumes', async () => {
    const events: TrainingProgress[] = []
    const parameters = { preset: 'tiny-32', steps: 40 } as const
    const training = bridge.request('trainTokenizer', parameters, (progress) => {
      events.push(progress)
      if (progress.kind === 'step' && progress.step >= 3) training.cancel()
    })
    const other = bridge.request('encode', {}).result
    await expect(other).rejects.toThrow("Wait for the end of the tokenizer's training, or cancel it")
    const stopped = (await training.result) as Project
    expect(stopped.tokenizer?.step).toBeGreaterThanOrEqual(3)
    expect(stopped.tokenizer?.step).toBeLessThan(40)
    const steps = () => events.flatMap((event) => (event.kind === 'step' ? [event] : []))
    expect(steps()[0]).toMatchObject({ steps: 40, metrics: { loss: expect.any(Number), psnr: expect.any(Number) } })

    const resumed = await bridge.request('trainTokenizer', parameters, (progress) => events.push(progress)).result
    expect(resumed.tokenizer).toEqual({ step: 40, steps: 40, preset: 'tiny-32' })
    const numbers = steps().map(({ step }) => step)
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
    expect(numbers.at(-1)).toBe(40)
    expect(steps().at(-1)?.metrics.loss).toBeLessThan(steps()[0]?.metrics.loss as number)
  })

  test('reconstructs images from what the masks leave', async () => {
    const gallery = await bridge.request('look', { count: 2, ratio: 0.5, seed: 1 }).result
    expect(gallery.size).toBe(32)
    expect(gallery.reconstructions?.map(({ length }) => length)).toEqual([4096, 4096])
    for (const quality of gallery.psnr ?? []) expect(quality).toBeGreaterThan(8)
    expect(gallery.psnr).toHaveLength(2)
  })

  test('encodes to shards with progress, and finishes after it was cancelled', async () => {
    const reports: { done: number; total: number }[] = []
    const encoding = bridge.request('encode', {}, (progress) => {
      reports.push(progress)
      if (progress.done > 0) encoding.cancel()
    })
    expect((await encoding.result).latents).toBeNull()
    expect(reports.at(-1)?.done).toBeLessThan(400)
    const { latents } = await bridge.request('encode', {}, (progress) => reports.push(progress)).result
    expect(latents).toBe(400)
    expect(reports.at(-1)).toEqual({ done: 400, total: 400 })
    const [project] = readdirSync(place.path('electron/projects')) as [string]
    expect(existsSync(join(place.path('electron/projects'), project, 'latents', 'manifest.json'))).toBe(true)
  })

  test('trains a generator and samples with previews', async () => {
    const events: TrainingProgress[] = []
    const trained = await bridge.request('trainGenerator', { steps: 4 }, (progress) => events.push(progress)).result
    expect(trained.generator).toMatchObject({ step: 4, steps: 4 })
    expect(events.some(({ kind }) => kind === 'step')).toBe(true)

    const previews: Samples[] = []
    const parameters = { count: 2, steps: 6, seed: 3 }
    const samples = await bridge.request('sample', parameters, (preview) => previews.push(preview)).result
    expect(previews[0]).toMatchObject({ steps: 6, size: 32 })
    expect(samples?.images.map(({ length }) => length)).toEqual([4096, 4096])
    expect(await bridge.request('sample', parameters).result).toEqual(samples)

    const sampling = bridge.request('sample', { ...parameters, steps: 250 }, () => sampling.cancel())
    expect(await sampling.result).toBeNull()
  })

  test('knows what was made when the folder is opened again', async () => {
    expect(await bridge.request('open', {}).result).toEqual({
      name: 'photos',
      images: 400,
      tokenizer: { step: 40, steps: 40, preset: 'tiny-32' },
      latents: 400,
      generator: { step: 4, steps: 4, preset: 'sit-tiny' }
    })
  })

  test('replaces latents when images were added, and removes the generator that was trained on them', async () => {
    await place.write('photos/400.png', await png(gradient(40, 32, 7)))
    expect(await bridge.request('encode', {}).result).toMatchObject({ latents: 401, generator: null })
  })

  test('removes latents when the training of their tokenizer goes on', async () => {
    const parameters = { preset: 'tiny-32', steps: 12 } as const
    const training = bridge.request('trainTokenizer', parameters, ({ kind }) => {
      if (kind === 'step') training.cancel()
    })
    expect(await training.result).toMatchObject({ tokenizer: { steps: 12 }, latents: null })
    expect(await bridge.request('encode', {}).result).toMatchObject({ latents: 401 })
    const resumed = await bridge.request('trainTokenizer', parameters).result
    expect(resumed).toMatchObject({ tokenizer: { step: 12 }, latents: null, generator: null })
    expect(await bridge.request('encode', {}).result).toMatchObject({ latents: 401 })
  })
})

describeInBrowser('the page', () => {
  let browser: Browser
  let page: Page
  let server: Server
  let worker: ChildProcess
  let delivered: () => Promise<unknown>
  const problems: string[] = []
  afterAll(async () => {
    await end(worker)
    await delivered()
    await browser.close()
    server.close()
    expect(problems).toEqual([])
  })
  const place = new Workplace()

  beforeAll(async () => {
    for (let i = 0; i < 20; i++) await place.write(`photos/${i}.png`, await png(gradient(40, 32, i * 12)))
    worker = startWorker(place.path('electron'), env)
    const served = await servePage()
    server = served.server
    browser = await launch()
    page = await browser.newPage({ viewport: { width: 420, height: 800 } })
    page.setDefaultTimeout(60_000)
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) problems.push(message.text())
    })
    page.on('pageerror', ({ message }) => problems.push(message))
    delivered = await connectPage(page, worker, place.path('photos'))
    await page.goto(served.url)
  })

  /** Whether what keeps the keyboard's focus is this. */
  const hasFocus = (selector: string) =>
    page.evaluate(`document.activeElement === document.querySelector('${selector}')`)
  const status = (form: string, text: string) => page.waitForSelector(`#${form} .status:text("${text}")`)

  test('opens a folder by keyboard and shows images beside what is hidden of them', async () => {
    expect(await page.isVisible('#steps')).toBe(false)
    await page.keyboard.press('Tab')
    expect(await hasFocus('#open')).toBe(true)
    await page.keyboard.press('Enter')
    await page.waitForSelector('#gallery figure:nth-child(6)')
    expect(await page.textContent('h1')).toBe('photos')
    expect(await page.textContent('#about')).toBe('20 images')
    await page.keyboard.press('Tab')
    expect(await hasFocus('#ratio')).toBe(true)
    await page.keyboard.press('End')
    await page.waitForSelector('#percent:text("90 %")')
    const canvas = `document.querySelector('#gallery canvas[aria-label="Image 1, masked"]')`
    const levels = `Array.from(${canvas}.getContext('2d').getImageData(0, 0, 64, 64).data)`
    // 58 of 64 patches of 8 × 8 pixels, in three colours.
    while ((await page.evaluate<number[]>(levels)).filter((level) => level === 128).length < 58 * 64 * 3) {
      await page.waitForTimeout(50)
    }
    expect(await page.isDisabled('#encode button')).toBe(true)
  })

  test('trains with curves, encodes and samples, one after the other', async () => {
    await page.selectOption('#trainTokenizer select', 'tiny-32')
    await page.fill('#trainTokenizer [name=steps]', '4')
    await page.press('#trainTokenizer [name=steps]', 'Enter')
    await status('trainTokenizer', 'Trained for 4 steps.')
    await page.waitForSelector('#loss polyline')
    expect(await page.textContent('#psnr figcaption')).toMatch(/^PSNR in dB: \d/)
    await page.waitForSelector('#gallery figcaption:text("dB")')
    await page.click('#encode button')
    await status('encode', '20 images are encoded.')
    await page.fill('#trainGenerator [name=steps]', '4')
    await page.click('#trainGenerator button')
    await status('trainGenerator', 'Trained for 4 steps.')
    await page.fill('#sample [name=count]', '3')
    await page.fill('#sample [name=steps]', '4')
    await page.click('#sample button')
    await status('sample', '3 samples.')
    expect(await page.locator('#drawn canvas').count()).toBe(3)
  })

  test('cancels a training, whose focus stays in its form, and offers to resume it', async () => {
    await page.fill('#trainTokenizer [name=steps]', '5000')
    await page.focus('#trainTokenizer button')
    await page.keyboard.press('Enter')
    await page.waitForSelector('#trainTokenizer [name=cancel]')
    await status('trainTokenizer', 'Step')
    expect(await hasFocus('#trainTokenizer [name=cancel]')).toBe(true)
    expect(await page.isDisabled('#trainTokenizer [type=submit]')).toBe(true)
    await page.keyboard.press('Enter')
    await status('trainTokenizer', 'it can be resumed.')
    expect(await page.textContent('#trainTokenizer button')).toBe('Resume')
    expect(await hasFocus('#trainTokenizer button')).toBe(true)
    expect(await page.isDisabled('#encode button')).toBe(false)
    expect(await page.isDisabled('#trainGenerator button')).toBe(true)
  })

  test('fits narrow windows, and lets no other script run', async () => {
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
    const refused = `new Promise((resolve) => {
      addEventListener('securitypolicyviolation', ({ violatedDirective }) => resolve(violatedDirective))
      document.head.append(Object.assign(document.createElement('script'), { textContent: 'window.injected = true' }))
    })`
    expect(await page.evaluate(refused)).toBe('script-src-elem')
    expect(await page.evaluate('window.injected')).toBeUndefined()
    // The policy's own message.
    problems.splice(0)
  })
})
