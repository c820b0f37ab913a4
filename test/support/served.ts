import { mactok } from './cli.js'

export interface Served {
  url: string
  /** The command's exit code. */
  ended: Promise<number | null>
  /** Its output so far. */
  stderr(): string
  interrupt(): void
}

/** Starts a command that serves a page (with `--json`) and waits for its address. */
export function serve(args: string[]): Promise<Served> {
  return new Promise((resolve, reject) => {
    let text = ''
    let found = false
    const finished = mactok(args, {
      onOutput: (written, child) => {
        text = written
        const url = /"event":"page","url":"([^"]+)"/.exec(written)?.[1]
        if (found || url === undefined) return
        found = true
        const interrupt = () => void child.kill('SIGINT')
        resolve({ url, ended: finished.then(({ code }) => code), stderr: () => text, interrupt })
      }
    })
    finished.then(({ code }) => {
      if (!found) reject(new Error(`mactok ${args[0]} ended with ${code} before it served a page: ${text}`))
    }, reject)
  })
}
