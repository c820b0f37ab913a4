import { Charts, chartOptions } from './charts.js'

/** @param {string} id */
const read = (id) => JSON.parse(document.getElementById(id).textContent)

const charts = new Charts(document.getElementById('curves'))
chartOptions(charts)
charts.compare(read('strokes'), read('series'))
