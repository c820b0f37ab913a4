/** The files of the live page and of reports; they need no build step. */

import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

// The path is the same from lib/page and dist/page.
const assets = fileURLToPath(new URL('../../lib/page/assets', import.meta.url))

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml'
}

const uplot = () => join(createRequire(import.meta.url).resolve('uplot/package.json'), '..', 'dist')

/** Every file, by the name under which it is served. */
const files: Record<string, () => string> = {
  'index.html': () => join(assets, 'index.html'),
  'style.css': () => join(assets, 'style.css'),
  'app.js': () => join(assets, 'app.js'),
  'charts.js': () => join(assets, 'charts.js'),
  'playground.js': () => join(assets, 'playground.js'),
  'report.js': () => join(assets, 'report.js'),
  'compare.js': () => join(assets, 'compare.js'),
  'icon.svg': () => join(assets, 'icon.svg'),
  'uplot.js': () => join(uplot(), 'uPlot.iife.min.js'),
  'uplot.css': () => join(uplot(), 'uPlot.min.css')
}

/** Reads a file by its name; null for an unknown one. */
export async function readPageFile(name: string): Promise<{ content: string; type: string } | null> {
  const path = Object.hasOwn(files, name) ? files[name]?.() : undefined
  if (path === undefined) return null
  return { content: await readFile(path, 'utf8'), type: types[extname(name)] as string }
}
