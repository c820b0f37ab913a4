import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { findDeadLinks } from '../../scripts/dead-links.mjs'

test('links to files and anchors that a built site does not have are found', () => {
  const site = mkdtempSync(join(tmpdir(), 'mactok-site-'))
  mkdirSync(join(site, 'sub'))
  writeFileSync(join(site, 'figure.png'), '')
  writeFileSync(
    join(site, 'index.html'),
    '<h2 id="here"></h2><a href="#here"><a href="/base/sub/#there"><a href="/base/figure.png"><a href="https://elsewhere/">' +
      '<a href="#none"><a href="/base/none.html"><img src="figures/none.png">'
  )
  writeFileSync(
    join(site, 'sub', 'index.html'),
    '<h2 id="there"></h2><a href="../index.html#here"><a href="../index.html#gone">'
  )
  expect(findDeadLinks(site, '/base/').toSorted()).toEqual([
    'index.html: #none',
    'index.html: /base/none.html',
    'index.html: figures/none.png',
    'sub/index.html: ../index.html#gone'
  ])
  rmSync(site, { recursive: true })
})
