/** Starts the local ranks of a job, and ends all of them when one fails. */

import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { constants } from 'node:os'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { callbacks, integerWithin, natural, positive } from '../checks.js'
import { checkOptions } from '../config.js'
import { invalidParameter, outOfRange } from '../errors.js'
import { rendezvousFile } from './rendezvous.js'

export interface LaunchOptions {
  /** The program of every rank, and its arguments. */
  command: readonly string[]
  /** Arguments that a later attempt adds, unless they are there. */
  resume?: readonly string[]
  /** Ranks on this machine. */
  nproc: number
  /** Machines, and the number of this one. */
  nnodes?: number
  nodeRank?: number
  /** `host:port` of rank 0, or the URL of a new file that all machines see; the same on all of them. Null: this machine alone. */
  rdzv?: string | null
  /** How often the job starts again after a failure. */
  restarts?: number
  /** Milliseconds in which the other ranks may end by themselves after one failed, then those after SIGTERM; default: 10,000. */
  patience?: number
  /** A line that a rank writes. */
  onLine?: (line: { rank: number; stream: 'stdout' | 'stderr'; text: string }) => void
  onNotice?: (message: string) => void
}

/** How a job ended. */
export interface LaunchResult {
  /** 0, or that of the rank that failed first; 128 + its number after a signal. */
  code: number
  /** The rank that failed first, and what it wrote last to standard error. */
  failed: { rank: number; lines: string[] } | null
}

export interface Launch {
  /** Sends a signal to all ranks. */
  kill(signal: NodeJS.Signals): void
  result: Promise<LaunchResult>
}

const keptLines = 20

const optionNames = {
  command: true,
  resume: true,
  nproc: true,
  nnodes: true,
  nodeRank: true,
  rdzv: true,
  restarts: true,
  patience: true,
  onLine: true,
  onNotice: true
} as const

/**
 * Starts a job's ranks on this machine.
 * @throws {TypeError|RangeError} wrong options
 */
export function launch(options: LaunchOptions): Launch {
  checkOptions(options, optionNames)
  const { command, nproc, restarts = 0, rdzv = null, nnodes = 1, nodeRank = 0, onNotice } = options
  if (!Array.isArray(command) || command.length === 0)
    throw invalidParameter('command', 'a program and its arguments', command)
  positive('nproc', nproc)
  positive('nnodes', nnodes)
  integerWithin('nodeRank', 0, nnodes - 1, nodeRank)
  natural('restarts', restarts)
  natural('patience', options.patience ?? 0)
  callbacks(options)
  if (nnodes > 1 && rdzv === null) throw outOfRange('rdzv', 'host:port of rank 0 for several machines', rdzv)
  const place = rdzv === null ? null : parsePlace(rdzv)
  let current: Attempt | null = null
  let stoppedBy: NodeJS.Signals | null = null
  const run = async (): Promise<LaunchResult> => {
    for (let attempt = 0; ; attempt++) {
      const meeting = place ?? placeAt('127.0.0.1', await freePort())
      if (stoppedBy !== null) return { code: 128 + constants.signals[stoppedBy], failed: null }
      current = new Attempt(options, attempt, meeting)
      const result = await current.ended
      if (result.code === 0 || result.failed === null || stoppedBy !== null || attempt >= restarts) return result
      const { rank, lines } = result.failed
      onNotice?.(
        `rank ${rank} failed (${lines.at(-1) ?? `exit code ${result.code}`}); restart ${attempt + 1} of ${restarts}`
      )
    }
  }
  return {
    kill: (signal) => {
      stoppedBy = signal
      current?.kill(signal)
    },
    result: run()
  }
}

/** Where the ranks meet, in torchrun's variables. */
interface Place {
  MASTER_ADDR: string
  MASTER_PORT: string
}

const placeAt = (host: string, port: number): Place => ({ MASTER_ADDR: host, MASTER_PORT: String(port) })

function parsePlace(text: string): Place {
  if (rendezvousFile('rdzv', text) !== null) return { MASTER_ADDR: text, MASTER_PORT: '' }
  const [, host = '', port = ''] = /^\[?(.+?)\]?:(\d+)$/.exec(text) ?? []
  if (host === '' || Number(port) < 1 || Number(port) > 65_535)
    throw outOfRange('rdzv', 'host:port or file:///path', text)
  return placeAt(host, Number(port))
}

/** A port that is free now. */
function freePort(): Promise<number> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

interface Rank {
  rank: number
  child: ChildProcess
  /** The last lines of standard error. */
  lines: string[]
  /** Null while it runs. */
  code: number | null
}

class Attempt {
  readonly ended: Promise<LaunchResult>
  readonly #ranks: Rank[]
  readonly #patience: number

  constructor(options: LaunchOptions, attempt: number, place: Place) {
    const { command, resume = [], nproc, nnodes = 1, nodeRank = 0, patience = 10_000, onLine } = options
    this.#patience = patience
    const [program = '', ...args] = command
    const more = attempt > 0 ? resume.filter((argument) => !args.includes(argument)) : []
    this.#ranks = Array.from({ length: nproc }, (_, local) => {
      const rank = nodeRank * nproc + local
      const env = {
        ...process.env,
        RANK: String(rank),
        LOCAL_RANK: String(local),
        WORLD_SIZE: String(nproc * nnodes),
        LOCAL_WORLD_SIZE: String(nproc),
        ...place,
        TORCHELASTIC_RESTART_COUNT: String(attempt),
        MACTOK_LAUNCHED: '1'
      }
      // In groups of their own, so that a terminal's Ctrl-C reaches them only once, through the launcher.
      const child = spawn(program, [...args, ...more], { env, stdio: ['pipe', 'pipe', 'pipe'], detached: true })
      const lines: string[] = []
      for (const stream of ['stdout', 'stderr'] as const) {
        createInterface({ input: child[stream] }).on('line', (text) => {
          if (stream === 'stderr' && text.trim() !== '') lines.splice(0, lines.push(text) - keptLines)
          onLine?.({ rank, stream, text })
        })
      }
      return { rank, child, lines, code: null }
    })
    this.ended = this.#run()
  }

  kill(signal: NodeJS.Signals): void {
    for (const { child, code } of this.#ranks) if (code === null) child.kill(signal)
  }

  async #run(): Promise<LaunchResult> {
    const failures: Rank[] = []
    let fail: () => void = () => {}
    const failed = new Promise<void>((resolve) => (fail = resolve))
    const all = this.#ranks.map(async (rank) => {
      rank.code = await exitCodeOf(rank)
      if (rank.code === 0) return
      failures.push(rank)
      fail()
    })
    const done = Promise.all(all)
    await Promise.race([done, failed])
    if (failures.length > 0) await this.#end(done)
    // A rank that only heard of another's failure is not to blame.
    const first = failures.find(({ lines }) => !/The job has failed/.test(lines.at(-1) ?? '')) ?? failures[0]
    if (!first) return { code: 0, failed: null }
    return { code: first.code as number, failed: { rank: first.rank, lines: first.lines } }
  }

  /** Ends the other ranks, which may still do so by themselves. */
  async #end(done: Promise<unknown>): Promise<void> {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const timer = new AbortController()
      const isOver = await Promise.race([
        done.then(() => true),
        sleep(this.#patience, false, { signal: timer.signal }).catch(() => false)
      ])
      timer.abort()
      if (isOver) return
      this.kill(signal)
    }
    await done
  }
}

function exitCodeOf({ child, lines }: Rank): Promise<number> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      lines.push(`error: ${error.message}`)
      resolve(127)
    })
    child.once('close', (code, signal) => {
      if (signal) lines.push(`ended by ${signal}`)
      resolve(signal ? 128 + constants.signals[signal] : (code as number))
    })
  })
}
