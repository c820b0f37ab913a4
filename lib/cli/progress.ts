import { SingleBar } from 'cli-progress'
import { printable } from './printable.js'

const clock = (seconds: number) => {
  if (!Number.isFinite(seconds)) return '–'
  const whole = Math.max(0, Math.round(seconds))
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  return parts[0]
    ? `${parts[0]}h${String(parts[1]).padStart(2, '0')}m`
    : `${parts[1]}m${String(parts[2]).padStart(2, '0')}s`
}

const rateOf = (rate: number) => (rate >= 100 ? rate.toFixed(0) : rate.toPrecision(3))

export interface Progress {
  done: number
  total: number
  /** Units per second. */
  rate: number
  secondsLeft: number
  /** Anything else worth showing. */
  text?: string | undefined
}

/** Seconds between two lines where there is no terminal. */
const interval = 10

/** When the last line was written, by whichever display. */
let lastWritten = Number.NEGATIVE_INFINITY

/** Shows progress as a bar on a terminal, elsewhere as plain lines, at most one every ten seconds, and the last; nothing when `quiet`. */
export class ProgressLine {
  readonly #unit: string
  readonly #bar: SingleBar | undefined
  readonly #quiet: boolean
  /** The newest line that is not written yet. */
  #pending: string | undefined

  constructor({ unit, quiet = false }: { unit: string; quiet?: boolean | undefined }) {
    this.#unit = unit
    this.#quiet = quiet
    if (quiet || !process.stderr.isTTY) return
    this.#bar = new SingleBar({
      format: '{bar} {line}',
      barsize: 20,
      hideCursor: true,
      gracefulExit: false,
      stream: process.stderr,
      fps: 5
    })
  }

  update(progress: Progress): void {
    if (this.#quiet) return
    const { done, total, rate, secondsLeft, text } = progress
    const parts = [`${done}/${total}`, text, `${rateOf(rate)} ${this.#unit}/s`, `${clock(secondsLeft)} left`]
    const line = parts.filter(Boolean).join('  ')
    if (this.#bar) {
      if (!this.#bar.isActive) this.#bar.start(total, done, { line })
      else this.#bar.update(done, { line })
      return
    }
    this.#pending = line
    if (performance.now() / 1000 - lastWritten >= interval) this.#writePending()
  }

  #writePending(): void {
    if (this.#pending === undefined) return
    lastWritten = performance.now() / 1000
    process.stderr.write(`${this.#pending}\n`)
    this.#pending = undefined
  }

  /** Writes a line of its own above the bar. */
  note(message: string): void {
    if (this.#quiet) return
    if (this.#bar?.isActive) process.stderr.write('\r\x1b[K')
    process.stderr.write(`${printable(message)}\n`)
  }

  /** Notes an image that cannot be read. */
  readonly noteSkipped = ({ name, reason }: { name: string; reason: string }): void =>
    this.note(`skipped ${name}: ${reason}`)

  /** An `onProgress(done, total)` that shows the count; it starts over when the count falls back. */
  counting(text?: string): (done: number, total: number) => void {
    let update: ReturnType<typeof counter> | undefined
    let last = 0
    return (done, total) => {
      if (!update || done < last) update = counter(this, total)
      last = done
      update(done, text)
    }
  }

  /** Ends the display; writes the last line if it is not written yet. */
  stop(): void {
    this.#bar?.stop()
    this.#writePending()
  }
}

/** A function that shows a count of units with their rate and the time left. */
export function counter(line: ProgressLine, total: number): (done: number, text?: string) => void {
  const start = performance.now()
  let first: number | undefined
  return (done, text) => {
    first ??= done
    const rate = (done - first) / ((performance.now() - start) / 1000) || 0
    const secondsLeft = rate > 0 ? (total - done) / rate : Number.POSITIVE_INFINITY
    line.update({ done, total, rate, secondsLeft, text })
  }
}
