import { Charts, chartOptions } from './charts.js'

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id)

const charts = new Charts(byId('curves'))
chartOptions(charts)
charts.add(JSON.parse(byId('lines').textContent))

const choice = byId('grid-choice')
choice?.addEventListener('input', () => {
  for (const grid of document.querySelectorAll('[data-grid]')) {
    const shown = /** @type {HTMLElement} */ (grid)
    shown.hidden = shown.dataset.grid !== choice.value
    if (!shown.hidden) byId('grid-step').textContent = shown.dataset.step
  }
})
