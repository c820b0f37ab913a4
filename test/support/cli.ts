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
  /** The folder to run in. */
  cwd?: string
  /** Arguments for Node itself. */
  node?: string[]
  /** Open files to write to instead. */
  files?: { stdout?: number; stderr?: number }
  /** Called once it runs. */
  onStart?: (child: ChildProcess) => void
  /** Called at each write with all output so far. */
  onOutput?: (text: string, child: ChildProcess) => void
}

/** Runs the compiled command line to its end. */
export function mactok(
  args: string[],
  { env = {}, cwd, node = [], files = {}, onStart, onOutput }: CallOptions = {}
): Promise<Finished> {
  const child = spawn(process.execPath, [...node, main, ...args], {
    env: { ...process.env, MACTOK_ADDON: undefined, ...env },
    cwd,
    stdio: ['pipe', files.stdout ?? 'pipe', files.stderr ?? 'pipe']
  })
  onStart?.(child)
  const finished: Finished = { code: null, stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8').on('data', (text: string) => {
      finished[stream] += text
      onOutput?.(finished.stdout + finished.stderr, child)
    })
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ ...finished, code }))
  })
}

/** An environment without weights, but with LibTorch. */
export const withoutWeights = (place: { path(name: string): string }): NodeJS.ProcessEnv => ({
  MACTOK_WEIGHTS: place.path('empty'),
  MACTOK_CACHE: place.path('cache'),
  HF_HUB_CACHE: place.path('cache'),
  LIBTORCH: libtorchOrigin().folder
})
