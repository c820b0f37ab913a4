// A form that starts a request, shows how far it is, and cancels it.

/** @import { RequestName, Requests } from '../protocol.ts' */

/**
 * What a task shows of its progress.
 * @typedef {{ part: number, text: string }} Shown
 */

/**
 * @template {RequestName} Name
 * @typedef {{
 *   parameters: (fields: FormData) => Requests[Name]['parameters'],
 *   onStart?: () => void,
 *   onProgress: (progress: Requests[Name]['progress']) => Shown | undefined,
 *   onResult: (result: Requests[Name]['result']) => string
 * }} Task
 */

/**
 * Binds the form whose id is the request's name.
 * @template {RequestName} Name
 * @param {Name} name
 * @param {Task<Name>} task
 */
export function bindTask(name, { parameters, onStart, onProgress, onResult }) {
  const form = /** @type {HTMLFormElement} */ (document.getElementById(name))
  const [start, cancel] = form.querySelectorAll('button')
  const bar = /** @type {HTMLProgressElement} */ (form.querySelector('progress'))
  const status = /** @type {HTMLElement} */ (form.querySelector('.status'))

  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    const running = window.mactok.request(name, parameters(new FormData(form)), (progress) => {
      const shown = onProgress(progress)
      if (shown) [bar.value, status.textContent] = [shown.part, shown.text]
    })
    cancel.onclick = () => {
      running.cancel()
      say('Stopping …')
    }
    onStart?.()
    show(true)
    say('Starting …')
    try {
      say(onResult(await running.result))
    } catch (error) {
      say(/** @type {Error} */ (error).message, true)
    }
    show(false)
  })

  /** @param {boolean} isRunning */
  function show(isRunning) {
    const hadFocus = form.contains(document.activeElement)
    start.hidden = isRunning
    // Enter in a field would press it, hidden or not.
    start.disabled = isRunning
    cancel.hidden = !isRunning
    bar.hidden = !isRunning
    bar.value = 0
    // The button that was pressed is gone: the keyboard continues at the other one.
    if (hadFocus) (isRunning ? cancel : start).focus()
  }

  /** @param {string} text @param {boolean} [failed] */
  function say(text, failed = false) {
    status.textContent = text
    status.classList.toggle('failed', failed)
  }
}
