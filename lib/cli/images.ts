import type { Ignored, ImageSource } from '../data/image-set.js'
import type { Broken } from '../data/reader.js'
import { printable } from './printable.js'
import type { ProgressLine } from './progress.js'

/** Ignored files that are named; `--json` lists all. */
const most = 5

/** Accounts for the files that a command was given and did not use. */
export class ImageAccount {
  readonly #line: ProgressLine | undefined
  readonly #skipped: Broken[] = []
  readonly #ignored = new Map<string, Ignored>()

  constructor(line?: ProgressLine) {
    this.#line = line
  }

  /** The images at a path, whose ignored files are counted. */
  async source(path: string): Promise<ImageSource> {
    const { imageSource, reportIgnored } = await import('../data/image-source.js')
    return reportIgnored(imageSource(path), (ignored) => this.#ignore(ignored, path))
  }

  readonly onIgnored = (ignored: Ignored): void => this.#ignore(ignored)

  /** Counts a file once, however often its source is opened. */
  #ignore(ignored: Ignored, source = ''): void {
    this.#ignored.set(`${source}\0${ignored.name}\0${ignored.reason}`, ignored)
  }

  readonly onBroken = (broken: Broken): void => {
    this.#skipped.push(broken)
    this.#line?.noteSkipped(broken)
  }

  /** Every file, for `--json`. */
  get unread(): { skipped: readonly Broken[]; ignored: readonly Ignored[] } {
    return { skipped: this.#skipped, ignored: [...this.#ignored.values()] }
  }

  /**
   * Ends a command's messages with how many files were not used, if any were.
   * @param skipped - images skipped in earlier calls as well
   */
  report(skipped = this.#skipped.length): void {
    const ignored = [...this.#ignored.values()]
    if (skipped + ignored.length === 0) return
    const lines = ignored.slice(0, most).map(({ name, reason }) => `ignored ${name}: ${reason}`)
    if (ignored.length > most) lines.push(`ignored ${ignored.length - most} more`)
    const total = `${skipped} skipped, ${ignored.length} ignored (--json lists them)`
    process.stderr.write(`${printable([...lines, total].join('\n'))}\n`)
  }
}
