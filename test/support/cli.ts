import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { libtorchOrigin } from '../../lib/native/load.js'

export const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

export interface Finished {
  code: number | null
  stdout: string
  stderr: string
}

export interface CallOptions {
  env?: NodeJS.ProcessEnv
  /** Arguments of Node itself. */
  node?: string[]
  /** Called with everything written so far whenever something is written. */
  onOutput?: (text: string, child: ChildProcess) => void
}

/** Runs the compiled command line and waits for its end. */
export function mactok(args: string[], { env = {}, node = [], onOutput }: CallOptions = {}): Promise<Finished> {
  const child = spawn(process.execPath, [...node, main, ...args], {
    env: { ...process.env, MACTOK_ADDON: undefined, ...env }
  })
  const finished: Finished = { code: null, stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      finished[stream] += text
      onOutput?.(finished.stdout + finished.stderr, child)
    })
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ ...finished, code }))
  })
}

/** An environment in which no weights are found, but LibTorch is. */
export const withoutWeights = (place: { path(name: string): string }): NodeJS.ProcessEnv => ({
  MACTOK_WEIGHTS: place.path('empty'),
  MACTOK_CACHE: place.path('cache'),
  LIBTORCH: libtorchOrigin().folder
})
