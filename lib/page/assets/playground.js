/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id)

/** The largest upload that the server accepts. */
const mostBytes = 32 * 2 ** 20

/** Reconstructs an image under a mask, or draws samples, whichever the run's model does. */
export class Playground {
  #opened = false
  #requesting = false
  /** @type {Blob | null} the image to reconstruct: first the file, then the crop that the server returned */
  #image = null
  #seed = 0
  /** One request runs, at most one waits: the newest. */
  #running = false
  #again = false
  #sampling = /** @type {AbortController | null} */ (null)

  constructor() {
    const drop = $('drop')
    for (const name of ['dragover', 'dragleave', 'drop']) {
      drop.addEventListener(name, (/** @type {DragEvent} */ event) => {
        event.preventDefault()
        drop.classList.toggle('over', name === 'dragover')
        if (name === 'drop') this.#take(event.dataTransfer?.files[0])
      })
    }
    $('file').addEventListener('change', () => this.#take($('file').files[0]))
    $('ratio').addEventListener('input', () => {
      $('ratio-shown').textContent = `${Math.round($('ratio').value * 100)} %`
      this.#reconstruct()
    })
    for (const kind of document.getElementsByName('kind')) kind.addEventListener('change', () => this.#reconstruct())
    $('again').addEventListener('click', () => {
      this.#seed += 1
      this.#reconstruct()
    })
    $('reconstruct').addEventListener('submit', (event) => event.preventDefault())
    $('steps').addEventListener('input', () => ($('steps-shown').textContent = $('steps').value))
    $('guidance').addEventListener(
      'input',
      () => ($('guidance-shown').textContent = Number($('guidance').value).toFixed(1))
    )
    $('sample').addEventListener('submit', (event) => {
      event.preventDefault()
      if (this.#sampling) this.#sampling.abort()
      else this.#sample()
    })
  }

  /** Opens at the first checkpoint. @param {{ checkpoint: number | null }} state */
  async update({ checkpoint }) {
    if (this.#opened || this.#requesting) return
    $('playground').hidden = false
    if (checkpoint === null) return this.#note('available after the first checkpoint')
    this.#requesting = true
    try {
      const about = await request('playground')
      this.#opened = true
      this.#note('uses the newest checkpoint')
      if (about.kind === 'tokenizer') this.#openReconstruction(about)
      else this.#openSampling(about)
    } catch (error) {
      this.#note(error.message)
    } finally {
      this.#requesting = false
    }
  }

  close() {
    for (const form of ['reconstruct', 'sample']) {
      for (const field of $(form).elements) field.disabled = true
    }
  }

  #openReconstruction({ semantic, teacher }) {
    $('reconstruct').hidden = false
    $('semantic').disabled = !semantic
    if (!semantic)
      $('semantic').parentElement.title = `Needs the weights ${teacher}: mactok weights pull facebook/${teacher}`
  }

  #openSampling({ decodes, classes, names }) {
    if (!decodes) return this.#note('Sampling needs the tokenizer that decodes: mactok ui <run> --tokenizer <folder>')
    $('sample').hidden = false
    for (let label = 0; label < Math.min(classes, 1000); label++) {
      $('class').add(new Option(names?.[label] ?? `class ${label}`, String(label)))
    }
    $('class').parentElement.hidden = classes < 2
  }

  /** @param {File | undefined} file */
  #take(file) {
    if (!file) return
    if (file.size > mostBytes) return this.#note('Too large: at most 32 MB')
    this.#image = file
    $('drop').querySelector('span').textContent = file.name
    this.#reconstruct()
  }

  async #reconstruct() {
    if (!this.#image) return
    if (this.#running) {
      this.#again = true
      return
    }
    this.#running = true
    $('results').setAttribute('aria-busy', 'true')
    const sent = this.#image
    try {
      const kind = /** @type {HTMLInputElement} */ (document.querySelector('[name=kind]:checked')).value
      const query = new URLSearchParams({ ratio: $('ratio').value, kind, seed: String(this.#seed) })
      const result = await request(`playground/reconstruct?${query}`, { method: 'POST', body: sent })
      for (const [name, url] of Object.entries(result.images)) $(name).src = url
      $('masked-caption').textContent = `${result.hidden} of ${result.patches} patches masked`
      $('quality').textContent = `reconstruction, ${result.psnr.toFixed(1)} dB`
      $('results').hidden = false
      this.#note(`computed with the checkpoint of step ${result.step}`)
      // The next mask needs only the crop, which is small.
      if (this.#image === sent) this.#image = blobOf(result.images.original)
    } catch (error) {
      this.#note(error.message)
    } finally {
      this.#running = false
      $('results').removeAttribute('aria-busy')
    }
    if (this.#again) {
      this.#again = false
      this.#reconstruct()
    }
  }

  async #sample() {
    const number = (id) => Number($(id).value)
    const label = $('class').value
    const count = number('count')
    const all = $('class').options.length - 1
    const classes = label === '' ? Array.from({ length: Math.min(count, all) }, (_, i) => i) : [Number(label)]
    const body = JSON.stringify({
      classes,
      count,
      steps: number('steps'),
      guidance: number('guidance'),
      seed: number('seed')
    })
    this.#sampling = new AbortController()
    $('draw').textContent = 'Stop'
    $('sampled').parentElement.hidden = false
    $('samples').setAttribute('aria-busy', 'true')
    try {
      const headers = { 'content-type': 'application/json' }
      const { signal } = this.#sampling
      for await (const line of readLines('playground/sample', { method: 'POST', body, headers, signal })) {
        if (line.error) throw new Error(line.error)
        $('sampled').style.width = `${(100 * line.step) / (line.steps ?? line.step)}%`
        if (line.images) this.#showSamples(line)
      }
      this.#note('')
    } catch (error) {
      this.#note(error.name === 'AbortError' ? 'stopped' : error.message)
    } finally {
      this.#sampling = null
      $('draw').textContent = 'Sample'
      $('samples').removeAttribute('aria-busy')
    }
  }

  #showSamples({ images, labels }) {
    const names = (label) => $('class').options[label + 1]?.text ?? ''
    $('samples').replaceChildren(
      ...images.map((url, i) =>
        Object.assign(new Image(), {
          src: url,
          alt: labels ? `Sample ${i + 1}, ${names(labels[i])}` : `Sample ${i + 1}, unfinished`
        })
      )
    )
  }

  /** @param {string} text */
  #note(text) {
    $('playground-note').textContent = text
  }
}

/** A data URL's bytes. @param {string} url */
const blobOf = (url) => new Blob([Uint8Array.from(atob(url.slice(url.indexOf(',') + 1)), (one) => one.charCodeAt(0))])

/** The response's JSON; throws its `error`. @param {string} path @param {RequestInit} [init] */
async function request(path, init) {
  const response = await fetch(path, init)
  const content = await response.json()
  if (content.error) throw new Error(content.error)
  return content
}

/** Lines of JSON as they arrive. @param {string} path @param {RequestInit} init */
async function* readLines(path, init) {
  const response = await fetch(path, init)
  const reader = /** @type {ReadableStream<any>} */ (response.body).pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) break
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield JSON.parse(line)
  }
  if (rest.trim()) yield JSON.parse(rest)
}
