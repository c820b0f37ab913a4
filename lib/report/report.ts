import { arch, cpus, release, totalmem, type } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { isRecord, pathTo } from '../checks.js'
import { checkOptions } from '../config.js'
import { MactokError } from '../errors.js'
import { withoutSecrets } from '../files/address.js'
import { writeText } from '../files/atomic.js'
import { checkDevice } from '../native/device.js'
import { newestCheckpoint } from '../runs/checkpoint.js'
import { type MetricsRecord, readMetrics } from '../runs/metrics.js'
import { figures, renderDocument, section, short, titleOf } from './document.js'
import { type EvaluationTable, readEvaluations } from './evaluations.js'
import { type Html, html, table } from './html.js'
import { type ReportImage, readGrids, readPlots } from './images.js'
import { drawMaskSheet } from './masks.js'
import { type PaperRow, paperRows } from './paper.js'
import { type AnyRunRecord, readAnyRun } from './run-folder.js'
import { commandsOf, settingsOf } from './settings.js'
import { thin } from './thin.js'

export interface ReportOptions {
  /** Default: `report.html` in the run folder. */
  out?: string | undefined
  /** Images to show the training masks on. Default: the run's own, if they are still there; null: no masks. */
  data?: string | null | undefined
  /** Device of the teacher, for semantic masks. Default `auto`. */
  device?: string | undefined
}

export interface Report {
  file: string
  bytes: number
  /** What the report lacks, and why. */
  missing: string[]
}

const mostGrids = 12

/**
 * Writes a report of a run as one self-contained HTML file: curves, images, metrics beside the paper's, settings, and the commands that
 * repeat the run.
 * @param run - the folder of a tokenizer's, decoder's or generator's run
 * @throws {TypeError} wrong options
 * @throws {MactokError} ERR_FORMAT when the folder holds no run
 */
export async function writeReport(run: string, options: ReportOptions = {}): Promise<Report> {
  pathTo('run', run)
  checkOptions(options, { out: true, data: true, device: true })
  const { out = join(run, 'report.html'), data, device } = options
  pathTo('out', out)
  if (data !== undefined && data !== null) pathTo('data', data)
  if (device !== undefined) checkDevice(device)
  const record = await readAnyRun(run)
  if (!record) throw new MactokError('ERR_FORMAT', `There is no run in ${run}`)
  const lines = readMetrics(run)
  const step = (await newestCheckpoint(run))?.state.step ?? lines.at(-1)?.step ?? 0
  const missing: string[] = []
  const masks =
    data === null || record.kind === 'generator'
      ? null
      : await drawMaskSheet(record, { data, device }).catch(noteMissing(missing))
  const page = await renderDocument({
    title: basename(resolve(run)),
    body: html`${heading(run, record)}
<main>
${tiles(record, lines, step)}
${await metricsSection(record, await readEvaluations(run, lines))}
${curvesSection()}
${gridSection(record, await readGrids(run, mostGrids))}
${masks && section('Masks', figures([masks]))}
${figuresOf('Latent space', await readPlots(run, 'latents'))}
${figuresOf('Plots', await readPlots(run, '.'))}
${section('Commands', html`${commandsOf(record, run).map(({ what, command }) => html`<h3>${what}</h3><pre><code>${command}</code></pre>`)}`)}
${settingsSection(record)}
${environmentSection(record)}
</main>`,
    data: { lines: thin(lines) },
    script: 'report.js'
  })
  await writeText(out, page)
  return { file: out, bytes: Buffer.byteLength(page), missing }
}

const noteMissing =
  (missing: string[]) =>
  (error: unknown): null => {
    if (!(error instanceof Error)) throw error
    missing.push(`masks: ${error.message}`)
    return null
  }

const figuresOf = (title: string, images: readonly ReportImage[]): Html | null =>
  images.length > 0 ? section(title, figures(images)) : null

const partOf = (record: AnyRunRecord) =>
  record.kind === 'tokenizer' && record.settled.part === 'decoder' ? 'decoder of a tokenizer' : record.kind

function heading(run: string, record: AnyRunRecord): Html {
  const { preset } = record.config
  return html`<header class="bar"><div class="title">
<h1>${basename(resolve(run))}</h1>
<p>${[partOf(record), preset, `written ${new Date().toISOString().slice(0, 10)}`].filter(Boolean).join(' · ')}</p>
</div></header>`
}

function tiles(record: AnyRunRecord, lines: readonly MetricsRecord[], step: number): Html {
  const last = lines.findLast((line) => 'loss' in line)
  const evaluated = lines.findLast((line) => isRecord(line.evaluation))?.evaluation as Record<string, number>
  const total = (last?.loss as Record<string, number> | undefined)?.total
  const rows: [string, string, string][] = [
    ['Steps', step.toLocaleString('en'), ` of ${record.settled.steps.toLocaleString('en')}`]
  ]
  if (typeof total === 'number') rows.push(['Loss', short(total), ''])
  if (typeof evaluated?.psnr === 'number') rows.push(['Held-out PSNR', evaluated.psnr.toFixed(2), ' dB'])
  if (record.kind === 'generator') {
    const { model, width, depth } = record.settled.generator
    rows.push(['Latents', record.data.latents.toLocaleString('en'), ''])
    rows.push(['Network', `${depth} × ${width}`, ` ${model}`])
  } else {
    const { imageSize, latentTokens, latentChannels } = record.settled.tokenizer
    rows.push(['Images', record.data.images.toLocaleString('en'), ` ${imageSize} px`])
    rows.push(['Tokens × channels', `${latentTokens} × ${latentChannels}`, ''])
  }
  return html`<dl class="tiles" aria-label="Summary">${rows.map(([name, value, unit]) => html`<div><dt>${name}</dt><dd>${value}<small>${unit}</small></dd></div>\n`)}</dl>`
}

/** Names of the paper's numbers in evaluations. */
const paperNames: Record<AnyRunRecord['kind'], Record<string, keyof PaperRow>> = {
  tokenizer: { rfid: 'rfid' },
  generator: { gfid: 'gfid', gis: 'is' }
}

/** Finds the paper's row for the run's tokenizer preset. */
async function findPaperRow(record: AnyRunRecord): Promise<PaperRow | undefined> {
  if (record.kind === 'tokenizer') return paperRows[record.config.preset ?? '']
  const { tokenizerFrom } = record.data
  const of = tokenizerFrom === null ? null : await readAnyRun(tokenizerFrom).catch(() => null)
  return paperRows[of?.config.preset ?? '']
}

async function metricsSection(record: AnyRunRecord, evaluations: readonly EvaluationTable[]): Promise<Html | null> {
  const paper = await findPaperRow(record)
  if (evaluations.length === 0 && !paper) return null
  const reported = paperNames[record.kind]
  const names = [
    ...new Set([...evaluations.flatMap(({ values }) => Object.keys(values)), ...(paper ? Object.keys(reported) : [])])
  ]
  const rows = names.map((name) => {
    const cells = evaluations
      .map(({ values }) => values[name])
      .map((value) => (value === undefined ? '–' : Number(short(value))))
    const key = reported[name]
    return [titleOf(name), ...cells, ...(paper ? [key ? paper[key] : '–'] : [])]
  })
  const headings = [
    '',
    ...evaluations.map(({ name, step }) => (step === undefined ? name : `${name}, step ${step}`)),
    ...(paper ? ['paper, full training'] : [])
  ]
  return section('Metrics', html`<div class="card narrow">${table(headings, rows)}</div>`)
}

const curvesSection = (): Html =>
  section(
    'Curves',
    html`<div id="curves"><p class="empty">No metrics were logged, or scripts are disabled in this viewer.</p></div>`,
    html`<div class="options">
<label><input type="checkbox" id="log"> Logarithmic losses</label>
<label><input type="checkbox" id="smooth"> Smooth</label>
</div>`
  )

/** The newest grid, and a slider for the others. */
function gridSection(record: AnyRunRecord, grids: readonly ReportImage[]): Html | null {
  if (grids.length === 0) return null
  const last = grids.length - 1
  const title = record.kind === 'generator' ? 'Samples over time' : 'Reconstructions over time'
  const scrub = html`<label class="scrub">step <output id="grid-step">${grids[last]?.step}</output>
<input type="range" id="grid-choice" min="0" max="${last}" value="${last}" aria-label="Which grid, from the oldest to the newest"${last === 0 ? html` hidden` : ''}></label>`
  const images = grids.map(
    ({ url, caption, step }, i) =>
      html`<img data-grid="${i}" data-step="${step}" src="${url}" alt="${caption}"${i === last ? '' : html` hidden`}>\n`
  )
  return section(title, html`<figure class="card grid">${images}</figure>`, scrub)
}

function settingsSection(record: AnyRunRecord): Html {
  const all = settingsOf(record)
  const changed = all.filter(({ preset }) => preset !== null)
  const row = ({ name, value, preset, description }: (typeof all)[number]) => [
    html`<code>${name}</code>`,
    html`<code>${value}</code>${preset !== null && html` <small class="note">instead of ${preset}</small>`}`,
    description
  ]
  const settled = Object.fromEntries((['steps', 'precision'] as const).map((name) => [name, record.settled[name]]))
  return section(
    'Settings',
    html`${changed.length > 0 && html`<div class="card">${table(['changed from the preset', '', ''], changed.map(row))}</div>`}
<details><summary>All settings</summary><div class="card">${table(['', '', ''], all.map(row))}</div></details>
<p class="constants">Resolved on this machine: ${Object.entries(settled)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}.</p>`
  )
}

function environmentSection(record: AnyRunRecord): Html {
  const [cpu] = cpus()
  const rows = [
    ...Object.entries(record.versions),
    ['data', withoutSecrets(record.data.from)],
    [
      'report written on',
      `${type()} ${release()}, ${arch()}, ${cpus().length} × ${cpu?.model ?? 'CPU'}, ${(totalmem() / 1e9).toFixed(0)} GB`
    ]
  ]
  return section('Environment', html`<div class="card">${table(['', ''], rows)}</div>`)
}
