// Takes the screenshots of examples/electron's page, after a training on a folder of images:
// node scripts/screenshot-electron.mjs <folder> [steps of the tokenizer] [steps of the generator]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { findChromium } from '../lib/setup/chromium.mjs'
import { howToGetChromium, launchChromium } from './chromium.mjs'
import { connectPage, servePage, startWorker } from './electron-page.mjs'

const [images, tokenizerSteps = '800', generatorSteps = '1000'] = process.argv.slice(2)
if (images === undefined)
  throw new Error('usage: node scripts/screenshot-electron.mjs <folder of images> [steps] [steps]')
const chromium = findChromium()
if (chromium === null) throw new Error(howToGetChromium)
const figures = fileURLToPath(new URL('../docs/figures', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'mactok-electron-'))
const worker = startWorker(folder)
const { url, server } = await servePage()
const browser = await launchChromium(chromium)
const page = await browser.newPage({ viewport: { width: 1000, height: 800 } })
page.setDefaultTimeout(0)
await connectPage(page, worker, resolve(images))
await page.goto(url)
await page.click('#open')
await page.waitForSelector('#gallery figure')

/** @param {string} form @param {Record<string, string>} fields */
async function run(form, fields = {}) {
  for (const [name, value] of Object.entries(fields)) await page.fill(`#${form} [name=${name}]`, value)
  await page.click(`#${form} button`)
  await page.waitForSelector(`#${form} progress`, { state: 'visible' })
  await page.waitForSelector(`#${form} progress`, { state: 'hidden' })
  process.stdout.write(`${form}: ${await page.textContent(`#${form} .status`)}\n`)
}
await run('trainTokenizer', { steps: tokenizerSteps })
await run('encode')
await run('trainGenerator', { steps: generatorSteps })
await run('sample', { count: '14' })

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  await page.emulateMedia({ colorScheme })
  const file = join(figures, `electron-${colorScheme}.png`)
  await sharp(await page.screenshot({ fullPage: true }))
    .png({ palette: true, colours: 256, effort: 10 })
    .toFile(file)
  process.stdout.write(`${file}\n`)
}
await browser.close()
server.close()
worker.kill()
worker.once('exit', () => rmSync(folder, { recursive: true }))
