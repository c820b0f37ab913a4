// Output of the scripts: one line per stage, a progress line, one message for a failure.

/** A failure that the user can fix: what is wrong, and what to do. */
export class Failure extends Error {
  /**
   * @param {string} problem
   * @param {string[]} remedies
   */
  constructor(problem, remedies = []) {
    super([problem, ...remedies.map((remedy) => `  - ${remedy}`)].join('\n'))
  }
}

/** @param {string} line */
export const say = (line) => void process.stderr.write(`mactok: ${line}\n`)

/**
 * Runs a script's body; a Failure becomes its message and exit code 1.
 * @param {() => unknown} body
 */
export async function run(body) {
  try {
    await body()
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    say(error.message)
    process.exitCode = 1
  }
}

/**
 * A progress line of bytes: rewritten on a terminal, a new one every few seconds elsewhere.
 * @param {string} label
 * @param {number} total bytes; 0 when unknown
 * @returns {{ update(bytes: number): void, end(): void }}
 */
export function progress(label, total) {
  const terminal = process.stderr.isTTY
  const interval = terminal ? 100 : 5000
  const started = Date.now()
  let last = 0
  let first = -1
  return {
    update(bytes) {
      if (first < 0) first = bytes
      const now = Date.now()
      if (now - last < interval) return
      last = now
      const rate = ((bytes - first) / Math.max(1, now - started)) * 1000
      const left = total && rate ? `, ${megabytes(rate)} MB/s, ${Math.ceil((total - bytes) / rate)} s left` : ''
      const line = `mactok: ${label} ${megabytes(bytes)}${total ? ` of ${megabytes(total)}` : ''} MB${left}`
      process.stderr.write(terminal ? `\r\x1b[K${line}` : `${line}\n`)
    },
    end() {
      if (terminal) process.stderr.write('\r\x1b[K')
    }
  }
}

/** @param {number} bytes */
const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)
