import type { Browser } from 'playwright-core'
import { findChromium } from '../../lib/setup/chromium.mjs'
import { howToGetChromium, launchChromium } from '../../scripts/chromium.mjs'
import { describeWhere } from './paths.js'

const path = findChromium()

/** `describe` if Chromium is installed; otherwise skipped, and the reason printed. */
export const describeInBrowser = (name: string, tests: () => void): void =>
  describeWhere(path !== null, howToGetChromium, name, tests)

export const launch = (): Promise<Browser> => launchChromium(path as string)
