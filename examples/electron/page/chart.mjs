// A curve that grows while it is drawn.

const namespace = 'http://www.w3.org/2000/svg'

/** @param {string} name @param {Record<string, number | string>} attributes */
function svg(name, attributes) {
  const element = document.createElementNS(namespace, name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value))
  return element
}

export class Chart {
  /** @type {[x: number, y: number][]} */
  #points = []
  #figure
  #title
  #log

  /** @param {HTMLElement} figure with a caption, which also shows the last value @param {{ log?: boolean }} options */
  constructor(figure, { log = false } = {}) {
    this.#figure = figure
    this.#title = figure.querySelector('figcaption')?.textContent ?? ''
    this.#log = log
  }

  clear() {
    this.#points = []
    this.#draw()
  }

  /** @param {number} x @param {number} y */
  add(x, y) {
    if (!Number.isFinite(y)) return
    this.#points.push([x, y])
    this.#draw()
  }

  #draw() {
    const caption = /** @type {HTMLElement} */ (this.#figure.querySelector('figcaption'))
    this.#figure.replaceChildren(caption)
    const value = this.#points.at(-1)?.[1]
    caption.textContent = value === undefined ? this.#title : `${this.#title}: ${format(value)}`
    if (this.#points.length < 2) return
    const height = (/** @type {number} */ y) => (this.#log ? Math.log10(Math.max(y, 1e-9)) : y)
    const [left, right] = extent(this.#points.map(([x]) => x))
    const [low, high] = extent(this.#points.map(([, y]) => height(y)))
    const points = this.#points.map(
      ([x, y]) => `${(100 * (x - left)) / (right - left)},${100 - (100 * (height(y) - low)) / (high - low)}`
    )
    const chart = svg('svg', {
      viewBox: '0 0 100 100',
      preserveAspectRatio: 'none',
      role: 'img',
      'aria-label': caption.textContent
    })
    for (const y of [0, 50, 100]) chart.append(svg('line', { x1: 0, x2: 100, y1: y, y2: y }))
    chart.append(svg('polyline', { points: points.join(' ') }))
    const values = this.#points.map(([, y]) => y)
    this.#figure.append(chart, label('high', Math.max(...values)), label('low', Math.min(...values)))
  }
}

/** Beside the uppermost or the lowest line. @param {string} place @param {number} value */
function label(place, value) {
  const element = document.createElement('small')
  element.className = place
  element.ariaHidden = 'true'
  element.textContent = format(value)
  return element
}

/** Smallest and largest, never the same. @param {number[]} values @returns {[number, number]} */
function extent(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  return high > low ? [low, high] : [low - 1, high + 1]
}

/** @param {number} value */
const format = (value) => (Math.abs(value) >= 10 ? value.toFixed(1) : value.toPrecision(3))
