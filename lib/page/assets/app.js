import { Charts, chartOptions, short } from './charts.js'
import { Playground } from './playground.js'

/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id)

const charts = new Charts($('curves'), { folds: true })
chartOptions(charts)
const playground = new Playground()

/** @param {number | null} seconds */
const clock = (seconds) => {
  if (seconds === null || !Number.isFinite(seconds)) return '–'
  const whole = Math.round(seconds)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  return hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`
}
const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(2)} GB`

const descriptions = {
  waiting: 'preparing',
  watching: 'watching',
  pausing: 'pausing after this step',
  stopping: 'stopping after this step',
  ended: 'ended'
}

let now = { state: 'waiting', checkpoint: null }

/** @param {any} state */
function show(state) {
  now = state
  document.title = `${state.name} · mactok`
  $('name').textContent = state.name
  $('badge').textContent = descriptions[state.state] ?? state.state
  $('badge').dataset.state = state.state
  const watching = state.state === 'watching' ? 'not trained by this process: the log is shown, without controls' : ''
  $('about').textContent = [state.kind, state.preset, watching].filter(Boolean).join(' · ')
  $('controls').hidden = !state.controls
  const isActive = ['running', 'pausing', 'paused'].includes(state.state)
  for (const id of ['pause', 'checkpoint', 'stop']) $(id).disabled = !isActive
  $('pause').textContent = state.state === 'paused' || state.state === 'pausing' ? 'Resume' : 'Pause'

  const part = state.steps ? Math.min(1, state.step / state.steps) : 0
  $('done').style.width = `${100 * part}%`
  $('progress').setAttribute('aria-valuemax', state.steps ?? 0)
  $('progress').setAttribute('aria-valuenow', state.step)
  const of = state.steps ? ` of ${state.steps.toLocaleString('en')}` : ''
  tile('step', state.step.toLocaleString('en'), of)
  tile('left', clock(state.secondsLeft))
  const unit = state.kind === 'generator' ? 'latents/s' : 'images/s'
  tile(
    'rate',
    state.rate === null ? '–' : short(Number(state.rate.toPrecision(3))),
    state.rate === null ? '' : ` ${unit}`
  )
  const { used, total, where } = state.memory ?? {}
  const ofTotal = where ? ` of ${(total / 1e9).toFixed(0)} GB${where === 'GPU' ? ', GPU' : ''}` : ''
  tile('memory', where ? gigabytes(used) : '–', ofTotal)
  tile('saved', state.checkpoint === null ? 'none yet' : `step ${state.checkpoint.toLocaleString('en')}`)
  showGrids(state.grids)
  playground.update(state)
}

/** @param {string} id @param {string} value @param {string} [rest] */
function tile(id, value, rest = '') {
  const small = document.createElement('small')
  small.textContent = rest
  $(id).replaceChildren(value, small)
}

/** @type {{ name: string, step: number }[]} */
let grids = []

/** Follows the newest grid unless an older one is selected. */
function showGrids(all) {
  const follows = Number($('grid-choice').value) >= grids.length - 1
  const grown = all.length !== grids.length || all.at(-1)?.name !== grids.at(-1)?.name
  grids = all
  $('grids').hidden = grids.length === 0
  if (!grown || grids.length === 0) return
  $('grid-choice').max = String(grids.length - 1)
  $('grid-choice').hidden = grids.length === 1
  if (follows) $('grid-choice').value = String(grids.length - 1)
  showGrid()
}

function showGrid() {
  const grid = grids[Number($('grid-choice').value)]
  if (!grid) return
  $('grid-step').textContent = grid.step.toLocaleString('en')
  $('grid').src = `grids/${grid.name}`
  $('grid').alt =
    `${now.kind === 'generator' ? 'Samples' : 'Held-out images and their reconstructions'} at step ${grid.step}`
}
$('grid-choice').addEventListener('input', showGrid)

/** @param {string | null} text */
function showMessage(text) {
  $('message').hidden = !text
  $('message').textContent = text
}

/** @param {'pause' | 'resume' | 'checkpoint' | 'stop'} action */
async function act(action) {
  try {
    const answer = await fetch(`control/${action}`, { method: 'POST' })
    const { error, state } = await answer.json()
    if (error) showMessage(error)
    else show({ ...now, state })
  } catch {
    showMessage('The training no longer responds.')
  }
}
$('pause').addEventListener('click', () => act(now.state === 'running' ? 'pause' : 'resume'))
$('checkpoint').addEventListener('click', async () => {
  $('checkpoint').disabled = true
  await act('checkpoint')
  $('checkpoint').disabled = false
})
$('stop').addEventListener('click', () => $('confirm').showModal())
$('confirm').addEventListener('close', () => $('confirm').returnValue === 'yes' && act('stop'))

const source = new EventSource('events')
source.addEventListener('lines', ({ data }) => {
  const { reset, lines } = JSON.parse(data)
  charts.add(lines, reset)
})
source.addEventListener('state', ({ data }) => {
  showMessage(null)
  show(JSON.parse(data))
})
source.addEventListener('end', () => {
  source.close()
  show({ ...now, controls: false, secondsLeft: null })
  playground.close()
  showMessage(
    now.state === 'ended' ? 'The training has ended. `mactok ui` shows the run again.' : 'The server has stopped.'
  )
})
source.addEventListener('error', () => {
  if (source.readyState !== EventSource.CLOSED) showMessage('Connection lost; reconnecting.')
})
