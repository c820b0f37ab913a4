// Curves of every metric; the live page loads this file, and reports embed it.

/** @typedef {{ step: number } & Record<string, number | Record<string, number>>} Line a line of metrics.jsonl */
/** @typedef {{ name: string, colour: string, dash: string }} Run one of several that are compared */
/** @typedef {{ run: string, steps: number[], seconds: number[] | null, values: number[], errors?: number[] }} RunCurve */
/**
 * A curve; one of several runs has its run's stroke, and the time until each step where that is known.
 * @typedef {{ steps: number[], values: number[], seconds?: number[] | null, errors?: number[], stroke?: Run }} Series
 */

const groupTitles = {
  '': 'Training',
  loss: 'Losses',
  evaluation: 'On held-out images',
  generation: 'Of the generator on its latents',
  discriminator: 'Discriminator',
  nonFinite: 'Terms that were not finite'
}

/** Titles of metrics whose names do not read as words. */
const words = {
  psnr: 'PSNR (dB)',
  samplePsnr: 'PSNR of samples (dB)',
  lr: 'learning rate',
  kl: 'KL',
  ssim: 'SSIM',
  lpips: 'LPIPS',
  rfid: 'rFID',
  fid: 'FID',
  gfid: 'gFID',
  klWeight: 'KL weight',
  klPerToken: 'KL per token',
  klPerDimension: 'KL per dimension',
  gradNorm: 'gradient norm',
  imagesPerSecond: 'images per second',
  klPerChannel: 'KL per channel',
  aggregateKl: 'KL of the aggregate posterior',
  mutualInformation: 'mutual information (nats)',
  rkid: 'rKID',
  rfdDinov2: 'rFD-DINOv2',
  rkdDinov2: 'rKD-DINOv2',
  gsfid: 'gsFID',
  gis: 'gIS',
  gkid: 'gKID',
  gfdDinov2: 'gFD-DINOv2',
  gkdDinov2: 'gKD-DINOv2',
  lecam: 'LeCAM'
}

/** `alignLocal` as `align local` @param {string} name */
const readable = (name) =>
  words[name] ??
  name
    .split(/(?=[A-Z])/)
    .map((word) => word.toLowerCase())
    .join(' ')

/** @param {number} value */
export const short = (value) => {
  if (!Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2)
  return size >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(4)))
}

/** Groups by importance; the live page opens the first. */
const order = ['loss', 'evaluation', '', 'discriminator']
const unfolded = 2

/** More parts than this share one chart: they are numbered channels or tokens, not terms. */
const manyParts = 12

/** Series by name and group, from the lines of the log. */
class Metrics {
  /** @type {Map<string, Map<string, Series>>} chart → curve → values */
  charts = new Map()

  /** @param {Line[]} lines */
  add(lines) {
    for (const { step, ...metrics } of lines) {
      for (const [name, value] of Object.entries(metrics)) {
        // What was not finite is null in JSON.
        if (value === null) continue
        if (typeof value === 'number') this.#put(name, name, step, value)
        else if (Object.keys(value).length > manyParts)
          for (const [part, number] of Object.entries(value)) this.#put(`evaluation/${name}`, part, step, number)
        else for (const [part, number] of Object.entries(value)) this.#put(`${name}/${part}`, part, step, number)
      }
    }
  }

  /** Replaces everything by the curves of several runs. @param {Run[]} runs @param {Record<string, RunCurve[]>} curves */
  compare(runs, curves) {
    const strokes = new Map(runs.map((run) => [run.name, run]))
    /** @param {RunCurve} curve @returns {[string, Series]} */
    const series = ({ run, ...curve }) => [run, { ...curve, stroke: strokes.get(run) }]
    this.charts = new Map(Object.entries(curves).map(([name, all]) => [name, new Map(all.map(series))]))
  }

  #put(chart, curve, step, value) {
    if (typeof value !== 'number' || !Number.isFinite(value)) return
    if (!this.charts.has(chart)) this.charts.set(chart, new Map())
    const curves = this.charts.get(chart)
    if (!curves.has(curve)) curves.set(curve, { steps: [], values: [] })
    curves.get(curve).steps.push(step)
    curves.get(curve).values.push(value)
  }
}

/** Exponential moving average, corrected for its start at zero. @param {number[]} values */
function smoothed(values, decay = 0.9) {
  let sum = 0
  let weight = 0
  return values.map((value) => {
    sum = decay * sum + (1 - decay) * value
    weight = decay * weight + (1 - decay)
    return sum / weight
  })
}

/** Whether values are positive and span so much that their logarithms say more. @param {Series[]} curves */
function spanDecades(curves) {
  const values = curves.flatMap((curve) => curve.values)
  const lowest = values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY)
  return lowest > 0 && values.reduce((most, value) => Math.max(most, value), 0) >= 10 * lowest
}

/** @param {number} seconds */
const duration = (seconds) =>
  seconds < 120 ? `${short(seconds)} s` : seconds < 7200 ? `${short(seconds / 60)} min` : `${short(seconds / 3600)} h`

/** Seconds between ticks that read well as minutes and hours. */
const timeSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400]

/** @param {string} name of a custom property */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** The ends of a curve's spread; on a logarithmic axis one that reaches 0 ends at the curve. @param {Series} curve */
const ends = ({ values, errors }, logarithmic) => [
  values.map((value, i) => (logarithmic && errors[i] >= value ? value : value - errors[i])),
  values.map((value, i) => value + errors[i])
]

/** A run's curve, and the invisible ones at the ends of its spread. @param {Series} series */
function strokesOf({ stroke: { colour, dash }, errors }, curve) {
  const shown = { ...curve('--curve', 1.75), stroke: colour, ...(dash && { dash: dash.split(' ').map(Number) }) }
  const hidden = { ...curve('--curve', 0), stroke: 'transparent', points: { show: false } }
  return errors ? [shown, hidden, hidden] : [shown]
}

/** The areas between the ends of spreads; `tables` tell the places of the curves among uPlot's series. */
function bandsOf(curves, tables) {
  let next = 1
  return tables.flatMap((table, i) => {
    const first = next
    next += table.length - 1
    if (table.length < 4) return []
    return [{ series: /** @type {[number, number]} */ ([first + 2, first + 1]), fill: `${curves[i].stroke.colour}26` }]
  })
}

/** One chart: its heading, its canvas. */
class Chart {
  #plot
  /** @type {Series[]} */
  #curves
  #options
  #timed = false

  /** @param {string} name */
  constructor(name) {
    this.title = readable(name.split('/').at(-1))
    this.element = document.createElement('article')
    this.element.className = 'chart'
    this.element.innerHTML = '<header><span></span><span></span></header><div role="img"></div>'
    const [title, value] = this.element.querySelectorAll('span')
    title.textContent = this.title
    this.value = value
    this.canvas = this.element.querySelector('div')
    new ResizeObserver(() => this.#resize()).observe(this.canvas)
  }

  /** @param {Map<string, Series>} curves @param {{ log: boolean, smooth: boolean, time: boolean }} options */
  draw(curves, { log, smooth, time }) {
    const all = [...curves.values()]
    const isComparison = all.some(({ stroke }) => stroke)
    const timed = time && all.every(({ seconds }) => seconds)
    const logarithmic = log && all.every(({ values }) => values.every((value) => value > 0))
    /** @param {Series} curve */
    const places = ({ steps, seconds }) => (timed ? seconds : steps)
    const single = all.length === 1 && !isComparison
    const averaged = isComparison && smooth
    this.#curves = all.map(({ values, errors, ...curve }) => ({
      ...curve,
      values: averaged ? smoothed(values) : values,
      errors: averaged ? undefined : errors
    }))
    // Each table has a place, a value, and with a spread its ends.
    const tables = this.#curves.map((curve) => [
      places(curve),
      curve.values,
      ...(curve.errors ? ends(curve, logarithmic) : [])
    ])
    const [first] = all
    const data = single
      ? [first.steps, first.values, ...(smooth ? [smoothed(first.values)] : [])]
      : uPlot.join(/** @type {any} */ (tables))
    const options = `${tables.map(({ length }) => length)} ${logarithmic} ${smooth} ${timed}`
    this.#timed = timed
    if (this.#plot && options === this.#options) this.#plot.setData(data)
    else {
      this.#plot?.destroy()
      this.#options = options
      this.#plot = this.#create(data, { logarithmic, smooth: smooth && single, tables })
    }
    this.#describe()
  }

  #create(data, { logarithmic, smooth, tables }) {
    const axis = {
      stroke: () => colour('--muted'),
      grid: { stroke: () => colour('--edge'), width: 1 },
      ticks: { show: false },
      font: '11px system-ui, sans-serif'
    }
    const points = (plot, series) => ({ show: plot.data[series].length < 3 })
    const curve = (stroke, width) => ({
      stroke: () => colour(stroke),
      width,
      spanGaps: true,
      points: { size: 5, show: (plot, series) => points(plot, series).show }
    })
    const many = data.length > 2 && !smooth
    const series = this.#curves.some(({ stroke }) => stroke)
      ? this.#curves.flatMap((one) => strokesOf(one, curve))
      : data.slice(1).map((_, i) => curve(many || (smooth && i === 0) ? '--faint' : '--curve', many ? 1 : 1.75))
    const bands = bandsOf(this.#curves, tables)
    const values = (_, ticks) => ticks.map((tick) => (tick === null ? '' : short(tick)))
    return new uPlot(
      {
        width: this.#width(),
        height: 170,
        legend: { show: false },
        padding: [8, 16, 0, 0],
        scales: { x: { time: false }, y: { distr: logarithmic ? 3 : 1 } },
        axes: [
          this.#timed
            ? { ...axis, size: 28, space: 70, incrs: timeSteps, values: (_, ticks) => ticks.map(duration) }
            : { ...axis, size: 28, values },
          { ...axis, size: 56, values }
        ],
        cursor: { y: false, drag: { setScale: true, x: true }, sync: { key: 'mactok' }, points: { size: 6 } },
        series: [{}, ...series],
        bands,
        hooks: { setCursor: [(plot) => this.#describe(plot.cursor.idx)] }
      },
      data,
      this.canvas
    )
  }

  /** Shows the value under the cursor, else the last one. @param {number | null} [at] */
  #describe(at) {
    const isLast = at === undefined || at === null
    const [first] = this.#curves
    if (first.stroke) {
      this.#describeRuns(isLast ? null : at)
      return
    }
    const index = at ?? first.steps.length - 1
    const [step, value] = [first.steps[index], first.values[index]]
    if (step === undefined) return
    const shown = this.#curves.length === 1 ? short(value) : `${this.#curves.length} curves`
    this.value.textContent = isLast ? shown : `${shown} at ${step}`
    const start = this.#curves.length === 1 ? `, from ${short(first.values[0])} at step ${first.steps[0]}` : ''
    if (isLast) this.canvas.setAttribute('aria-label', `${this.title}: ${shown} at step ${step}${start}`)
  }

  /** Shows a value per run in its colour: the newest at the cursor's place or before it. @param {number | null} at */
  #describeRuns(at) {
    const place = at === null ? Number.POSITIVE_INFINITY : this.#plot.data[0][at]
    const texts = this.#curves.flatMap(({ stroke, steps, seconds, values, errors }) => {
      const index = (this.#timed ? seconds : steps).findLastIndex((one) => one <= place)
      if (index === -1) return []
      const spread = errors?.[index] ? ` ± ${short(Number(errors[index].toPrecision(2)))}` : ''
      return [{ name: stroke.name, colour: stroke.colour, text: `${short(values[index])}${spread}` }]
    })
    const parts = texts.map(({ colour, text }) => {
      const part = document.createElement('b')
      part.style.color = colour
      part.textContent = text
      return part
    })
    const where = at === null ? '' : ` at ${this.#timed ? duration(place) : place}`
    this.value.replaceChildren(...parts.flatMap((part, i) => (i > 0 ? [' ', part] : [part])), where)
    if (at === null) {
      const values = texts.map(({ name, text }) => `${name} ${text}`).join(', ')
      this.canvas.setAttribute('aria-label', `${this.title}: ${values}`)
    }
  }

  #width() {
    return Math.max(120, this.canvas.clientWidth)
  }

  #resize() {
    if (this.#plot && this.#plot.width !== this.#width()) this.#plot.setSize({ width: this.#width(), height: 170 })
  }

  redraw() {
    this.#plot?.redraw(false, true)
  }

  remove() {
    this.#plot?.destroy()
    this.element.remove()
  }
}

/** All curves of a run, grouped; constant metrics are listed in a line. */
export class Charts {
  #root
  #metrics = new Metrics()
  /** @type {Map<string, Chart>} */
  #charts = new Map()
  #options = { log: false, smooth: false, time: false }
  #folds
  /** @type {Map<string, boolean>} whether a group was opened or folded by hand */
  #open = new Map()

  /** @param {HTMLElement} root @param {{ folds?: boolean }} [options] whether all but the first groups start folded */
  constructor(root, { folds = false } = {}) {
    this.#root = root
    this.#folds = folds
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      for (const chart of this.#charts.values()) chart.redraw()
    })
  }

  /** @param {Line[]} lines @param {boolean} [reset] discards earlier lines */
  add(lines, reset = false) {
    if (reset) this.#metrics = new Metrics()
    this.#metrics.add(lines)
    this.#draw()
  }

  /** Shows the curves of several runs in each chart. @param {Run[]} runs @param {Record<string, RunCurve[]>} curves */
  compare(runs, curves) {
    this.#metrics.compare(runs, curves)
    this.#draw()
  }

  /** @param {Partial<{ log: boolean, smooth: boolean, time: boolean }>} options */
  set(options) {
    this.#options = { ...this.#options, ...options }
    this.#draw()
  }

  #draw() {
    /** @type {Map<string, string[]>} */
    const groups = new Map()
    const constants = []
    for (const [name, curves] of this.#metrics.charts) {
      const all = [...curves.values()]
      const [first] = all
      const group = name.includes('/') ? name.split('/')[0] : ''
      const isOne = all.length === 1 || all.some(({ stroke }) => stroke)
      const constant =
        isOne &&
        first.values.length > 1 &&
        all.every(({ values }) => values.every((value) => value === first.values[0]))
      if (constant)
        constants.push(
          `${group ? `${readable(group)} ` : ''}${readable(name.split('/').at(-1))} ${short(first.values[0])}`
        )
      else groups.set(group, [...(groups.get(group) ?? []), name])
    }
    if (groups.size === 0 && constants.length === 0) return
    const rank = (names, name) => (names.includes(name) ? names.indexOf(name) : names.length)
    const sorted = [...groups.keys()].sort((a, b) => rank(order, a) - rank(order, b))
    // Counters and rates say least, and come last.
    const least = (name) => Number(name === 'epoch' || name.endsWith('PerSecond'))
    for (const names of groups.values()) names.sort((a, b) => least(a) - least(b))
    const wanted = new Set([...groups.values()].flat())
    for (const [name, chart] of this.#charts) {
      if (wanted.has(name)) continue
      chart.remove()
      this.#charts.delete(name)
    }
    this.#arrange(sorted, groups, constants)
    for (const name of wanted) {
      const curves = this.#metrics.charts.get(name)
      const all = [...curves.values()]
      const isLogarithmic = name.startsWith('loss/') || (all.some(({ stroke }) => stroke) && spanDecades(all))
      this.#charts.get(name).draw(curves, { ...this.#options, log: this.#options.log && isLogarithmic })
    }
  }

  /** Lays out groups and charts again, only when there is another chart. */
  #arrange(sorted, groups, constants) {
    const summary = constants.length > 0 ? `Constant: ${constants.join(', ')}` : ''
    const plan = JSON.stringify(sorted.map((group) => [group, groups.get(group)]))
    if (this.#root.dataset.plan !== plan) {
      this.#root.dataset.plan = plan
      const parts = sorted.map((group, rank) => {
        const part = document.createElement('details')
        part.open = this.#open.get(group) ?? (!this.#folds || rank < unfolded)
        part.addEventListener('toggle', () => this.#open.set(group, part.open))
        part.innerHTML = '<summary></summary><div class="charts"></div>'
        part.querySelector('summary').textContent = groupTitles[group] ?? readable(group)
        for (const name of groups.get(group)) {
          if (!this.#charts.has(name)) this.#charts.set(name, new Chart(name))
          part.querySelector('div').append(this.#charts.get(name).element)
        }
        return part
      })
      const last = document.createElement('p')
      last.className = 'constants'
      this.#root.replaceChildren(...parts, last)
    }
    this.#root.querySelector('.constants').textContent = summary
  }
}

/** Connects the checkboxes above the curves. @param {Charts} charts */
export function chartOptions(charts) {
  for (const option of ['log', 'smooth', 'time']) {
    const box = /** @type {HTMLInputElement | null} */ (document.getElementById(option))
    box?.addEventListener('change', () => charts.set({ [option]: box.checked }))
  }
}
