// Finds an installed Chromium, which tests of pages and their images use.
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** $MACTOK_CHROMIUM, or one of the usual names on the path. */
export function findChromium() {
  const { MACTOK_CHROMIUM: named = '', PATH = '' } = process.env
  const places = PATH.split(delimiter).flatMap((folder) => names.map((name) => join(folder, name)))
  return [named, ...places].find((path) => path !== '' && existsSync(path)) ?? null
}
