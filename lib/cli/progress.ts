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

/** Shows progress as a bar on a terminal, elsewhere as plain lines, at most one every `seconds`; nothing when `quiet`. */
export class ProgressLine {
  readonly #unit: string
  readonly #seconds: number
  readonly #bar: SingleBar | undefined
  readonly #quiet: boolean
  #last = Number.NEGATIVE_INFINITY

  constructor({ unit, quiet = false, seconds = 10 }: { unit: string; quiet?: boolean | undefined; seconds?: number }) {
    this.#unit = unit
    this.#seconds = seconds
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
    const now = performance.now() / 1000
    if (now - this.#last < this.#seconds && done < total) return
    this.#last = now
    process.stderr.write(`${line}\n`)
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

  stop(): void {
    this.#bar?.stop()
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
