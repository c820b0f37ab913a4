import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** An installed Chromium: `$MACTOK_CHROMIUM`, or one of the usual names on the path. */
export function findChromium(): string | null {
  const { MACTOK_CHROMIUM: named, PATH = '' } = process.env
  const places = PATH.split(delimiter).flatMap((folder) => names.map((name) => join(folder, name)))
  return [named ?? '', ...places].find((path) => path !== '' && existsSync(path)) ?? null
}

export const chromiumPath = findChromium()
if (chromiumPath === null) {
  console.warn(
    'Skipping tests in a browser: no Chromium on the path (on Debian: apt-get install chromium), nor named by MACTOK_CHROMIUM'
  )
}

/** Headless; without a sandbox, which root may not have. */
export const launch = (): Promise<Browser> =>
  chromium.launch({ executablePath: chromiumPath as string, args: ['--no-sandbox', '--disable-gpu'] })
