/** The page that compares runs. */

import { lineChart, type PlotSeries } from '../plot/line-chart.js'
import { strokeOf } from '../plot/palette.js'
import { scatterPlot } from '../plot/scatter-plot.js'
import type { Summary } from '../plot/summary.js'
import type { CompareConfig } from './compare-schema.js'
import type { ComparedRun, Comparison, Outcome } from './comparison.js'
import { renderDocument, section, short, titleOf } from './document.js'
import type { Entry } from './entries.js'
import { Html, html, table } from './html.js'
import type { ReportImage } from './images.js'

type Content = Omit<Comparison, 'file' | 'bytes'>

interface Shown extends CompareConfig {
  /** Where the images come from. */
  from: string | null
}

/** Renders the page as one file of HTML. */
export function renderComparison(
  comparison: Content,
  entries: readonly Entry[],
  outcomes: readonly Outcome[],
  shown: Shown
): Promise<string> {
  const { kind, runs, settings, curves, missing } = comparison
  const body = html`<header class="bar"><div class="title">
<h1>${runs.map(({ name }) => name).join(' · ')}</h1>
<p>${runs.length} ${kind}s compared · written ${new Date().toISOString().slice(0, 10)}</p>
</div></header>
<main>
${runsSection(runs, entries)}
${settingsSection(settings, runs)}
${curvesSection(runs)}
${metricsSection(runs)}
${kind === 'tokenizer' ? imagesSection(runs, outcomes, shown) : samplesSection(runs, outcomes, shown)}
${latentsSection(runs, outcomes)}
${budgetSection(runs)}
${missing.length > 0 && section('Missing', html`<ul>${missing.map((text) => html`<li>${text}</li>`)}</ul>`)}
</main>`
  return renderDocument({
    title: runs.map(({ name }) => name).join(', '),
    body,
    data: { strokes: runs.map(({ name }, i) => ({ name, ...strokeOf(i) })), series: curves },
    script: 'compare.js'
  })
}

/** A short stroke in the colour of a run's curves, as in the charts. */
const mark = (index: number): Html => {
  const { colour, dash } = strokeOf(index)
  return html`<svg class="mark" width="22" height="6" aria-hidden="true"><path d="M1 3h20" stroke="${colour}" stroke-width="3" stroke-dasharray="${dash}"/></svg>`
}

const named = (runs: readonly ComparedRun[]) => runs.map(({ name }, i) => html`${mark(i)} ${name}`)

function formatTime(seconds: number): string {
  if (seconds < 120) return `${short(seconds)} s`
  return seconds < 7200 ? `${short(seconds / 60)} min` : `${short(seconds / 3600)} h`
}

function runsSection(runs: readonly ComparedRun[], entries: readonly Entry[]): Html {
  const unit = entries[0]?.runs[0].record.kind === 'generator' ? 'latents' : 'images'
  const rows = runs.map(({ step, seconds, samplesPerSecond, latentShape, dirs }, i) => [
    named(runs)[i],
    entries[i]?.runs[0].record.config.preset ?? '–',
    dirs.length,
    step,
    formatTime(seconds),
    samplesPerSecond === null ? '–' : Number(short(samplesPerSecond)),
    latentShape?.join(' × ') ?? '–',
    html`<code>${dirs[0]}</code>`
  ])
  const headings = ['', 'preset', 'seeds', 'steps', 'training time', `${unit} per second`, 'latents', 'folder']
  return section('Runs', html`<div class="card folders">${table(headings, rows)}</div>`)
}

function settingsSection(settings: Content['settings'], runs: readonly ComparedRun[]): Html {
  const rows = settings.map(({ name, description, values }) => [
    html`<code>${name}</code>`,
    ...runs.map((run) => html`<code>${values[run.name]}</code>`),
    html`<small class="note">${description}</small>`
  ])
  const content =
    rows.length > 0
      ? html`<div class="card names">${table(['', ...named(runs), ''], rows)}</div>`
      : html`<p class="empty">All settings are the same.</p>`
  return section('Settings that differ', content)
}

const curvesSection = (runs: readonly ComparedRun[]): Html =>
  section(
    'Curves',
    html`<p class="legend">${named(runs).map((name) => html`<span>${name}</span> `)}</p>
<div id="curves"><p class="empty">Scripts are disabled in this viewer.</p></div>
${runs.some(({ dirs }) => dirs.length > 1) && html`<p class="note">Means over seeds; the bands are one standard error wide on either side.</p>`}`,
    html`<div class="options">
<label><input type="checkbox" id="time"> Over training time</label>
<label><input type="checkbox" id="log"> Logarithmic where it helps</label>
<label><input type="checkbox" id="smooth"> Smooth</label>
</div>`
  )

const formatSummary = ({ mean, error }: Summary): string | number =>
  error === null ? Number(short(mean)) : `${short(mean)} ± ${Number(error.toPrecision(2))}`

/** A table for each evaluation that one of the runs has. */
function metricsSection(runs: readonly ComparedRun[]): Html | null {
  const names = [...new Set(runs.flatMap(({ evaluations }) => Object.keys(evaluations)))]
  if (names.length === 0) return null
  const tables = names.map((name) => {
    const byRun = runs.map(({ evaluations }) => evaluations[name] ?? {})
    const metrics = [...new Set(byRun.flatMap(Object.keys))]
    const rows = metrics.map((metric) => [
      titleOf(metric),
      ...byRun.map((values) => (values[metric] ? formatSummary(values[metric]) : '–'))
    ])
    return html`<h3>${name}</h3><div class="card narrow">${table(['', ...named(runs)], rows)}</div>\n`
  })
  return section('Metrics', html`${tables}`)
}

const column = ({ url, caption }: ReportImage, title: Html | string): Html =>
  html`<figure><figcaption>${title}<br><small>${caption || '\u00a0'}</small></figcaption><img src="${url}" alt=""></figure>\n`

const columns = (images: readonly Html[]): Html => html`<div class="card columns">${images}</div>`

/** The columns of the runs that have some. */
const columnsOf = (runs: readonly ComparedRun[], images: readonly (ReportImage | undefined | null)[]): Html[] =>
  images.flatMap((image, i) => (image ? [column(image, named(runs)[i] as Html)] : []))

function imagesSection(runs: readonly ComparedRun[], outcomes: readonly Outcome[], shown: Shown): Html | null {
  const drawn = outcomes.map(({ tokenizer }) => tokenizer?.columns)
  const first = drawn.find(Boolean)
  if (!first) return null
  const percent = Math.round(100 * shown.ratio)
  return section(
    'Reconstructions',
    html`<p class="note">Images of ${shown.from}, by the newest averaged weights; PSNR of the images shown.</p>
${columns([
  column(first.original, 'original'),
  ...columnsOf(
    runs,
    drawn.map((one) => one?.reconstruction)
  )
])}
<h3>With ${percent} % of the patches masked</h3>
${columns([
  column(first.masked, 'masked'),
  ...columnsOf(
    runs,
    drawn.map((one) => one?.ofMasked)
  )
])}`
  )
}

function samplesSection(runs: readonly ComparedRun[], outcomes: readonly Outcome[], shown: Shown): Html | null {
  const drawn = columnsOf(
    runs,
    outcomes.map(({ samples }) => samples)
  )
  if (drawn.length === 0) return null
  const { seed, steps, guidance } = shown
  const note = `The same classes and noise (seed ${seed}), by the newest averaged weights; Heun, ${steps} steps, guidance ${guidance}.`
  return section('Samples', html`<p class="note">${note}</p>${columns(drawn)}`)
}

const chart = (svg: string): Html => html`<div class="card plot">${new Html(svg)}</div>\n`

function latentsSection(runs: readonly ComparedRun[], outcomes: readonly Outcome[]): Html | null {
  const all = outcomes.map(({ tokenizer }) => tokenizer?.latents)
  if (!all.some(Boolean)) return null
  const total = (values: readonly number[] | undefined) => values?.reduce((sum, value) => sum + value, 0)
  const rows = all.flatMap((latents, i) => {
    if (!latents) return []
    const kl = total(latents.klPerToken)
    const active = `${(100 * latents.activeUnits).toFixed(1)} % of ${latents.tokens * latents.channels}`
    return [[named(runs)[i], active, kl === undefined ? '–' : `${short(kl)} nats`, latents.images]]
  })
  const byToken = all.flatMap((latents, i): PlotSeries[] => {
    const points = latents?.klPerToken?.map((y, x) => ({ x, y }))
    return points ? [{ name: (runs[i] as ComparedRun).name, points, index: i }] : []
  })
  const scatter = all.flatMap((latents, i) =>
    latents
      ? [
          scatterPlot({
            title: (runs[i] as ComparedRun).name,
            classes: latents.classes,
            xLabel: `${(100 * (latents.pca.explained[0] ?? 0)).toFixed(0)} % of the variance`,
            yLabel: `${(100 * (latents.pca.explained[1] ?? 0)).toFixed(0)} % of the variance`,
            points: latents.pca.points.map(([x, y], at) => ({ x, y, label: latents.labels[at] as number }))
          })
        ]
      : []
  )
  const kl = { title: 'KL by token', xLabel: 'token', yLabel: 'nats', series: byToken, theme: 'inherit' } as const
  return section(
    'Latents',
    html`<div class="card narrow">${table(['', 'active units', 'KL', 'images'], rows)}</div>
${byToken.length > 0 && html`<div class="plots">${chart(lineChart(kl))}</div>`}
<h3>Mean latents on their principal components</h3>
<div class="plots">${scatter.map(chart)}</div>`
  )
}

/** Metrics of quality, as opposed to counts. */
const quality = /(psnr|ssim|lpips|fid|fd|kid|kd|probe|precision|recall|^gis$)/i

/** Quality by the number of latent units, where runs differ in it. */
function budgetSection(runs: readonly ComparedRun[]): Html | null {
  const budgets = runs.map(({ latentShape }) => latentShape?.reduce((product, length) => product * length, 1) ?? null)
  if (new Set(budgets.filter((budget) => budget !== null)).size < 2) return null
  // An evaluation of its own wins over the last one of the training.
  const merged = runs.map(({ evaluations }): Record<string, Summary> => {
    const { 'in training': training, ...others } = evaluations
    return Object.assign({}, training, ...Object.values(others))
  })
  const metrics = [...new Set(merged.flatMap(Object.keys))].filter((metric) => quality.test(metric))
  const charts = metrics.map((metric) => {
    const series = runs.flatMap(({ name }, i): PlotSeries[] => {
      const value = merged[i]?.[metric]
      const x = budgets[i]
      if (!value || !x) return []
      const { mean: y, error } = value
      const point = { x, y }
      return [{ name, index: i, points: [error === null ? point : { ...point, low: y - error, high: y + error }] }]
    })
    const title = titleOf(metric)
    return lineChart({ title, xLabel: 'tokens × channels', yLabel: title, series, logX: true, theme: 'inherit' })
  })
  return charts.length > 0 ? section('By latent size', html`<div class="plots">${charts.map(chart)}</div>`) : null
}
