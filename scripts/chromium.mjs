// Runs an installed Chromium, for tests of pages and for their images.
import { chromium } from 'playwright-core'

export const howToGetChromium =
  'no Chromium on the path (on Debian: apt-get install chromium), and MACTOK_CHROMIUM names none'

/**
 * Headless, and without a sandbox, which root may not have: it opens nothing but our own pages.
 * @param {string} executablePath
 */
export const launchChromium = (executablePath) =>
  chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
