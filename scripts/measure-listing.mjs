/**
 * Lists a folder with as many files as ImageNet's training set, 1,000 classes of 1,300 empty files, two folders deep, and prints
 * how long that takes and how much memory. The files take inodes but no space; they are removed at the end.
 *
 *   npm run build:ts && node scripts/measure-listing.mjs [folder to make them in]
 */

import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const classes = 1000
const images = 1300

/** @param {string} root */
function makeFiles(root) {
  for (let label = 0; label < classes; label++) {
    const name = `n${String(1440764 + 7919 * label).padStart(8, '0')}`
    for (const half of ['a', 'b']) {
      const folder = join(root, name, half)
      mkdirSync(folder, { recursive: true })
      for (let i = 0; i < images / 2; i++) closeSync(openSync(join(folder, `${name}_${half}${i * 13}.JPEG`), 'w'))
    }
  }
}

const root = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'mactok-listing-'))
try {
  const begun = performance.now()
  makeFiles(root)
  const seconds = (/** @type {number} */ since) => ((performance.now() - since) / 1000).toFixed(1)
  process.stdout.write(`made ${classes * images} files in ${seconds(begun)} s\n`)
  const { imageFolder } = await import('../dist/data/image-folder.js')
  const held = process.memoryUsage.rss()
  for (const time of ['first', 'second']) {
    const started = performance.now()
    const before = process.cpuUsage()
    const set = await imageFolder(root).open()
    const { user, system } = process.cpuUsage(before)
    const peak = process.resourceUsage().maxRSS * 1024
    const line = `${time} listing: ${set.size} images of ${set.classes?.length} classes in ${seconds(started)} s (${((user + system) / 1e6).toFixed(1)} s of the processor)`
    process.stdout.write(
      `${line}, at most ${Math.round(peak / 1e6)} MB of memory (${Math.round(held / 1e6)} MB before)\n`
    )
    await set.close()
  }
} finally {
  rmSync(root, { recursive: true })
}
