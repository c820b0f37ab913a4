// Takes the screenshots of docs/figures (the live page, a report and a comparison) while a small tokenizer trains on the example photographs.
// Takes a minute or two: node scripts/screenshots.mjs [steps]
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import sharp from 'sharp'
import { findChromium } from '../lib/setup/chromium.mjs'
import { howToGetChromium, launchChromium } from './chromium.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const main = join(root, 'dist', 'cli', 'main.js')
const photos = join(root, 'examples', 'photos')
const steps = process.argv[2] ?? '400'
const chromium = findChromium()
if (chromium === null) throw new Error(howToGetChromium)

const folder = mkdtempSync(join(tmpdir(), 'mactok-screenshots-'))
const run = join(folder, 'photos-64')
const browser = await launchChromium(chromium)

/** @param {string[]} args */
function mactok(args) {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => child.on('close', resolve))
  return { child, ended }
}

/** Widths in CSS pixels; a phone has more pixels than that. */
const views = [
  { name: 'light', colorScheme: 'light', width: 1180, height: 1300, scale: 1 },
  { name: 'dark', colorScheme: 'dark', width: 1180, height: 1300, scale: 1 },
  { name: 'phone', colorScheme: 'light', width: 390, height: 844, scale: 2 }
]

/** Writes an image with few colours, which keeps the repository small. @param {string} name @param {Buffer} image */
async function save(name, image) {
  const file = join(root, 'docs', 'figures', `${name}.png`)
  await sharp(image).png({ palette: true, colours: 128, effort: 10 }).toFile(file)
  process.stdout.write(`${file}\n`)
}

/** @typedef {(page: import('playwright-core').Page) => Promise<void>} Step */

/** Takes one screenshot per view. @param {string} name @param {string} url @param {Step} also runs in the light view */
async function shoot(name, url, also) {
  for (const { name: view, colorScheme, width, height, scale } of views) {
    const page = await browser.newPage({
      viewport: { width, height },
      deviceScaleFactor: scale,
      colorScheme: /** @type {'light' | 'dark'} */ (colorScheme)
    })
    await page.goto(url)
    await page.waitForSelector('.chart canvas')
    await page.waitForTimeout(400)
    await save(`${name}-${view}`, await page.screenshot())
    if (view === 'light') await also(page)
    await page.close()
  }
}

try {
  const settings = {
    batch: 16,
    steps,
    'optimizer.warmup': 30,
    'log.every': 5,
    'checkpoint.every': 100,
    'evaluation.every': 50,
    'grid.every': 50
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
  const where = ['--data', photos, '--held-out', photos, '--out', run]
  const training = mactok(['train', 'tokenizer', 'tiny-64', ...where, ...flags, '--ui', '--json'])
  let url = ''
  let step = 0
  training.child.stdout.setEncoding('utf8').on('data', (text) => {
    url ||= /"event":"page","url":"([^"]+)"/.exec(text)?.[1] ?? ''
    step = Math.max(step, ...[...text.matchAll(/"event":"step","step":(\d+)/g)].map(([, number]) => Number(number)))
  })
  while (step < 0.6 * Number(steps)) {
    if (training.child.exitCode !== null) throw new Error(`Training exited with ${training.child.exitCode}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  await shoot('page', url, async (page) => {
    await page.waitForSelector('#reconstruct:not([hidden])')
    await page.setInputFiles('#file', join(photos, 'astronaut.jpg'))
    await page.waitForSelector('#results:not([hidden])', { timeout: 60_000 })
    await page.setViewportSize({ width: 1180, height: 600 })
    const box = await page.locator('#playground').boundingBox()
    if (!box) throw new Error('The playground is not visible')
    const clip = { x: 0, y: box.y - 12, width: 1180, height: box.height + 24 }
    await save('page-playground', await page.screenshot({ clip, fullPage: true }))
  })
  await training.ended
  await mactok(['report', run]).ended
  await shoot('report', pathToFileURL(join(run, 'report.html')).href, async (page) => {
    if (process.env.MACTOK_KEEP) await page.screenshot({ path: join(folder, 'report.png'), fullPage: true })
  })

  // A second, shorter run without masks, to compare the first with.
  const plain = join(folder, 'photos-64-plain')
  const shorter = [...flags, '--masking.target', 'none', '--steps', String(Math.ceil(Number(steps) / 2))]
  await mactok(['train', 'tokenizer', 'tiny-64', '--data', photos, '--held-out', photos, '--out', plain, ...shorter])
    .ended
  const comparison = join(folder, 'comparison.html')
  await mactok(['compare', run, plain, '--count', '4', '--out', comparison]).ended
  await shoot('compare', pathToFileURL(comparison).href, async (page) => {
    if (process.env.MACTOK_KEEP) await page.screenshot({ path: join(folder, 'comparison.png'), fullPage: true })
  })
} finally {
  await browser.close()
  if (process.env.MACTOK_KEEP) process.stdout.write(`${folder}\n`)
  else rmSync(folder, { recursive: true })
}
