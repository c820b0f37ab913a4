// An installed Chromium, for tests of pages and for their images.
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium } from 'playwright-core'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

export const howToGetChromium =
  'no Chromium on the path (on Debian: apt-get install chromium), and MACTOK_CHROMIUM names none'

/** $MACTOK_CHROMIUM, or one of the usual names on the path. */
export function findChromium() {
  const { MACTOK_CHROMIUM: named = '', PATH = '' } = process.env
  const places = PATH.split(delimiter).flatMap((folder) => names.map((name) => join(folder, name)))
  return [named, ...places].find((path) => path !== '' && existsSync(path)) ?? null
}

/**
 * Headless, and without a sandbox, which root may not have: it opens nothing but our own pages.
 * @param {string} executablePath
 */
export const launchChromium = (executablePath) =>
  chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
