/** The files of the page, which needs no build step. */

import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

// The same from lib/page and dist/page.
const page = fileURLToPath(new URL('../../lib/page/assets', import.meta.url))

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml'
}

const uplot = () => join(createRequire(import.meta.url).resolve('uplot/package.json'), '..', 'dist')

/** Every file there is, by the name under which it is served. */
const files: Record<string, () => string> = {
  'index.html': () => join(page, 'index.html'),
  'style.css': () => join(page, 'style.css'),
  'app.js': () => join(page, 'app.js'),
  'charts.js': () => join(page, 'charts.js'),
  'playground.js': () => join(page, 'playground.js'),
  'report.js': () => join(page, 'report.js'),
  'icon.svg': () => join(page, 'icon.svg'),
  'uplot.js': () => join(uplot(), 'uPlot.iife.min.js'),
  'uplot.css': () => join(uplot(), 'uPlot.min.css')
}

/** A file of the page, or null when there is none of this name. */
export async function pageFile(name: string): Promise<{ content: string; type: string } | null> {
  const path = Object.hasOwn(files, name) ? files[name]?.() : undefined
  if (path === undefined) return null
  return { content: await readFile(path, 'utf8'), type: types[extname(name)] as string }
}
