import { join } from 'node:path'
import { openToRead } from '../files/read.js'
import { type MetricsRecord, parseLine } from '../runs/metrics.js'

export interface NewLines {
  /** The log was rewritten (a resumed run truncates it): earlier lines are void. */
  reset: boolean
  lines: MetricsRecord[]
}

/** Follows a run's `metrics.jsonl`. */
export class MetricsTail {
  readonly #path: string
  #inode: number | undefined
  #position = 0
  #rest = ''
  /** The newest line with a loss. */
  last: MetricsRecord | undefined

  constructor(folder: string) {
    this.#path = join(folder, 'metrics.jsonl')
  }

  /** Reads the lines since the last call. */
  async read(): Promise<NewLines> {
    const file = await openToRead(this.#path).catch(() => null)
    if (!file) return { reset: false, lines: [] }
    try {
      const { ino, size } = await file.stat()
      const reset = ino !== this.#inode || size < this.#position
      if (reset) {
        this.#inode = ino
        this.#position = 0
        this.#rest = ''
        this.last = undefined
      }
      const bytes = Buffer.alloc(size - this.#position)
      const { bytesRead } = await file.read(bytes, 0, bytes.length, this.#position)
      this.#position += bytesRead
      const lines = (this.#rest + bytes.toString('utf8', 0, bytesRead)).split('\n')
      // The last line may not be complete yet.
      this.#rest = lines.pop() as string
      const records = lines.map(parseLine).filter((line) => line !== null)
      this.last = records.findLast((record) => 'loss' in record) ?? this.last
      return { reset, lines: records }
    } finally {
      await file.close()
    }
  }
}
