/** What reports and comparisons have in common: one HTML file that needs no other. */

import { metricTitles } from '../evaluation/metric-names.js'
import { readPageFile } from '../page/files.js'
import { embedJson, Html, html } from './html.js'
import type { ReportImage } from './images.js'

export interface Document {
  title: string
  body: Html
  /** What the script reads, by the id of the element that holds it as JSON. */
  data: Record<string, unknown>
  /** A module of the page; what it imports is `charts.js`. */
  script: string
}

/** Renders an HTML page with its styles, scripts and data inside. */
export async function renderDocument({ title, body, data, script }: Document): Promise<string> {
  const elements = Object.entries(data).map(
    ([id, value]) => html`<script type="application/json" id="${id}">${embedJson(value)}</script>\n`
  )
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · mactok</title>
<link rel="icon" href="${await asset('icon.svg', 'image/svg+xml')}">
<style>${await readText('uplot.css')}
${await readText('style.css')}</style>
</head>
<body>
${body}
${elements}<script>${await readText('uplot.js')}</script>
<script type="module">${await readText('charts.js')}
${withoutImports((await readText(script)).text)}</script>
</body>
</html>
`.text
}

async function asset(name: string, type: string): Promise<string> {
  return `data:${type};base64,${Buffer.from((await readText(name)).text).toString('base64')}`
}

/** Reads a file of the page, with no end of a script element in it. */
async function readText(name: string): Promise<Html> {
  const file = await readPageFile(name)
  return new Html((file?.content ?? '').replaceAll('</script', '<\\/script'))
}

/** Without its imports, which stand before it in the same module. */
const withoutImports = (code: string): Html => new Html(code.replaceAll(/^import .*$/gm, ''))

export const section = (title: string, content: Html, options: Html = html``): Html => html`<section>
<div class="head"><h2>${title}</h2>${options}</div>
${content}
</section>`

export const figures = (images: readonly ReportImage[]): Html =>
  html`${images.map(({ url, caption }) => html`<figure class="card grid"><img src="${url}" alt="${caption}"><figcaption>${caption}</figcaption></figure>\n`)}`

const titles: Record<string, string> = {
  activeUnits: 'active units',
  kl: 'KL',
  psnr: 'PSNR',
  samplePsnr: 'PSNR of samples',
  ssim: 'SSIM',
  lpips: 'LPIPS',
  // Of reconstructions and of generated images.
  ...Object.fromEntries(
    Object.entries({ ...metricTitles, is: 'IS' }).flatMap(([name, title]) =>
      ['', 'r', 'g'].map((of) => [`${of}${name}`, `${of}${title}`])
    )
  )
}

/** The title of a metric in tables. */
export const titleOf = (metric: string): string => titles[metric] ?? metric

/** A number with four significant digits. */
export const short = (value: number): string => String(Number(value.toPrecision(4)))
