// Takes the screenshots of examples/browser with a run's tokenizer, and measures it in Chromium:
// node scripts/screenshot-browser.mjs demo/run [fp16]
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { exportOnnx } from '../dist/index.js'
import { findChromium } from '../lib/setup/chromium.mjs'
import { howToGetChromium, launchChromium } from './chromium.mjs'

const [run, precision = 'fp32'] = process.argv.slice(2)
if (run === undefined) throw new Error('usage: node scripts/screenshot-browser.mjs <run folder> [fp16]')
const chromium = findChromium()
if (chromium === null) throw new Error(howToGetChromium)
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'mactok-browser-'))

await exportOnnx(run, { out: folder, precision: /** @type {'fp32' | 'fp16'} */ (precision) })
const server = spawn(process.execPath, [join(root, 'examples', 'browser', 'serve.mjs'), folder, '0'])
const url = await new Promise((resolve) => server.stdout.once('data', (text) => resolve(`${text}`.trim())))
const browser = await launchChromium(chromium)

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  const page = await browser.newPage({ viewport: { width: 760, height: 640 }, colorScheme })
  await page.goto(url)
  await page.waitForSelector('#file:enabled', { state: 'attached' })
  // The first takes longer.
  for (let i = 0; i < 5; i++) {
    await page.setInputFiles('#file', join(root, 'examples', 'photos', 'astronaut.jpg'))
    await page.waitForSelector('#status:text("Encoded in")')
    process.stdout.write(`${await page.textContent('#status')}\n`)
    // The same file again would be no change.
    await page.evaluate(`document.getElementById('file').value = ''`)
    if (i < 4) await page.evaluate(`document.getElementById('status').textContent = ''`)
  }
  const file = join(root, 'docs', 'figures', `browser-${colorScheme}.png`)
  await sharp(await page.screenshot())
    .png({ palette: true, colours: 256, effort: 10 })
    .toFile(file)
  process.stdout.write(`${file}\n`)
  await page.close()
}
await browser.close()
server.kill()
rmSync(folder, { recursive: true })
