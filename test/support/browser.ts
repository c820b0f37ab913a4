import { describe } from '@jest/globals'
import type { Browser } from 'playwright-core'
import { findChromium, howToGetChromium, launchChromium } from '../../scripts/chromium.mjs'

const path = findChromium()

/** `describe` if Chromium is installed; otherwise skipped, and the reason printed. */
export function describeInBrowser(name: string, tests: () => void): void {
  if (path !== null) {
    describe(name, tests)
    return
  }
  process.stderr.write(`skipped: ${name} (${howToGetChromium})\n`)
  describe.skip(name, tests)
}

export const launch = (): Promise<Browser> => launchChromium(path as string)
