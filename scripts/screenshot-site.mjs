// Takes the screenshots of the site for contributing.md: npm run docs && node scripts/screenshot-site.mjs
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { findChromium } from '../lib/setup/chromium.mjs'
import { howToGetChromium, launchChromium } from './chromium.mjs'

const chromium = findChromium()
if (chromium === null) throw new Error(howToGetChromium)
const docs = fileURLToPath(new URL('../docs', import.meta.url))
const program = join(docs, 'node_modules', 'vitepress', 'bin', 'vitepress.js')
const server = spawn(process.execPath, [program, 'preview', '--port', '4173'], { cwd: docs })
await new Promise((resolve) => server.stdout.once('data', resolve))
const browser = await launchChromium(chromium)

for (const [name, colorScheme, width, height] of /** @type {const} */ ([
  ['dark', 'dark', 1200, 900],
  ['phone', 'light', 390, 780]
])) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme })
  await page.goto('http://localhost:4173/concepts.html', { waitUntil: 'networkidle' })
  const file = join(docs, 'figures', `site-${name}.png`)
  await sharp(await page.screenshot())
    .png({ palette: true, colours: 128, effort: 10 })
    .toFile(file)
  process.stdout.write(`${file}\n`)
  await page.close()
}
await browser.close()
server.kill()
