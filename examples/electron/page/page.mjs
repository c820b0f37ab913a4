// The page: a folder's images, and four tasks, each of which makes the next one possible.
import { Chart } from './chart.mjs'
import { showGallery, showSamples } from './gallery.mjs'
import { bindTask } from './task.mjs'

/** @import { Project, Trained, TrainingProgress } from '../protocol.ts' */

const element = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id))
const ratio = /** @type {HTMLInputElement} */ (element('ratio'))

/** The first such element of a task's form. @param {string} id @param {string} selector @returns {any} */
const field = (id, selector) => element(id).querySelector(selector)

/** @param {Project} project */
function showProject({ name, images, tokenizer, latents, generator }) {
  element('name').textContent = name
  element('about').textContent = `${images} image${images === 1 ? '' : 's'}`
  element('steps').hidden = false
  const requirements = { encode: tokenizer, trainGenerator: latents, sample: generator }
  for (const [id, required] of Object.entries(requirements)) field(id, 'fieldset').disabled = required === null
  const statuses = {
    trainTokenizer: tokenizer ? describeRun(tokenizer) : '',
    encode: latents ? describeLatents(latents) : '',
    trainGenerator: generator ? describeRun(generator) : '',
    sample: ''
  }
  for (const [id, text] of Object.entries(statuses)) {
    // A running task says itself how far it is.
    if (field(id, 'progress').hidden) field(id, '.status').textContent = text
  }
  field('trainTokenizer', 'button').textContent = isUnfinished(tokenizer) ? 'Resume' : 'Train'
  element('replaces').hidden = tokenizer === null || isUnfinished(tokenizer)
  field('trainGenerator', 'button').textContent = isUnfinished(generator) ? 'Resume' : 'Train'
}

/** @param {Trained | null} run */
const isUnfinished = (run) => run !== null && run.step < run.steps

/** @param {Project} project */
function fillIn({ tokenizer, generator }) {
  if (tokenizer) {
    field('trainTokenizer', '[name=preset]').value = tokenizer.preset
    field('trainTokenizer', '[name=steps]').value = tokenizer.steps
  }
  if (generator) field('trainGenerator', '[name=steps]').value = generator.steps
}

let looking = false
let lookAgain = false

/** Shows the newest reconstructions; of the requests while one runs, the last one counts. */
async function look() {
  lookAgain = looking
  if (looking) return
  looking = true
  try {
    const parameters = { count: 6, ratio: Number(ratio.value), seed: 0 }
    showGallery(element('gallery'), await window.mactok.request('look', parameters).result)
  } catch (error) {
    report(error)
  }
  looking = false
  if (lookAgain) look()
}

/** @param {unknown} error null: none */
function report(error) {
  element('message').hidden = error === null
  element('message').textContent = error instanceof Error ? error.message : ''
}

element('open').addEventListener('click', async () => {
  report(null)
  try {
    const project = await window.mactok.request('open', {}).result
    if (project === null) return
    showProject(project)
    fillIn(project)
    for (const chart of Object.values(charts)) chart.clear()
    showSamples(element('drawn'), [], 1)
    await look()
  } catch (error) {
    report(error)
  }
})

ratio.addEventListener('input', () => {
  element('percent').textContent = `${Math.round(100 * Number(ratio.value))} %`
  look()
})

const charts = {
  loss: new Chart(element('loss'), { log: true }),
  psnr: new Chart(element('psnr')),
  flow: new Chart(element('flow'), { log: true })
}

/** @param {FormData} fields @param {string} name */
const number = (fields, name) => Number(fields.get(name))

/** @param {number} seconds */
const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.round(seconds % 60)).padStart(2, '0')}`

/**
 * @param {TrainingProgress} progress
 * @param {string} things that a rate counts
 * @param {(step: number, metrics: Record<string, number>) => void} plot
 */
function showTraining(progress, things, plot) {
  if (progress.kind === 'checkpoint') {
    if (things === 'images') look()
    return undefined
  }
  if (progress.kind === 'notice') return { part: 0, text: progress.message }
  const { step, steps, metrics, rate, secondsLeft } = progress
  plot(step, metrics)
  return {
    part: step / steps,
    text: `Step ${step} of ${steps}, ${rate.toFixed(0)} ${things}/s, ${clock(secondsLeft)} left`
  }
}

/** @param {Trained} run */
function describeRun(run) {
  return isUnfinished(run)
    ? `Stopped at step ${run.step} of ${run.steps}: it can be resumed.`
    : `Trained for ${run.steps} steps.`
}

const stoppedAtOnce = 'Stopped before the first checkpoint.'

/** @param {number} images */
const describeLatents = (images) => `${images} image${images === 1 ? ' is' : 's are'} encoded.`

bindTask('trainTokenizer', {
  parameters: (fields) => ({
    preset: fields.get('preset') === 'tiny-32' ? 'tiny-32' : 'tiny-64',
    steps: number(fields, 'steps')
  }),
  onStart: () => {
    charts.loss.clear()
    charts.psnr.clear()
  },
  onProgress: (progress) =>
    showTraining(progress, 'images', (step, { loss, psnr }) => {
      charts.loss.add(step, loss)
      charts.psnr.add(step, psnr)
    }),
  onResult: (project) => {
    showProject(project)
    look()
    return project.tokenizer ? describeRun(project.tokenizer) : stoppedAtOnce
  }
})

bindTask('encode', {
  parameters: () => ({}),
  onProgress: ({ done, total }) => ({ part: done / total, text: `${done} of ${total} images` }),
  onResult: (project) => {
    showProject(project)
    return project.latents ? describeLatents(project.latents) : 'Stopped: finished shards are kept.'
  }
})

bindTask('trainGenerator', {
  parameters: (fields) => ({ steps: number(fields, 'steps') }),
  onStart: () => charts.flow.clear(),
  onProgress: (progress) => showTraining(progress, 'latents', (step, { loss }) => charts.flow.add(step, loss)),
  onResult: (project) => {
    showProject(project)
    return project.generator ? describeRun(project.generator) : stoppedAtOnce
  }
})

bindTask('sample', {
  parameters: (fields) => ({
    count: number(fields, 'count'),
    steps: number(fields, 'steps'),
    seed: number(fields, 'seed')
  }),
  onProgress: ({ step, steps, images, size }) => {
    showSamples(element('drawn'), images, size)
    return { part: step / steps, text: `Step ${step} of ${steps}` }
  },
  onResult: (samples) => {
    if (samples === null) return 'Stopped.'
    showSamples(element('drawn'), samples.images, samples.size)
    return `${samples.images.length} samples.`
  }
})
