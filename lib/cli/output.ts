/** What a command writes: JSON lines, tables, errors. */

import { explainSystemError } from '../files/system-error.js'
import { locateError } from './config-file.js'
import { Interrupted } from './exit.js'
import { printable } from './printable.js'
import { isInterruptible } from './signals.js'

/**
 * Keeps a command alive when nobody reads it any more: a closed pipe, a terminal that hung up or a full disk loses what is written, not
 * the work. Says so once on standard error, unless a reader such as `head` closed the pipe of a command that only prints. Such a command
 * fails on a full disk.
 */
export function surviveLostOutput(): void {
  let isLost = false
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (isLost) return
    isLost = true
    if (!isInterruptible()) {
      if (code === 'EPIPE') return
      process.exitCode = 1
      process.stderr.write(`error: Cannot write to standard output: ${message}\n`)
      return
    }
    const reason = code === 'EPIPE' ? 'its reader closed it' : message
    process.stderr.write(`Cannot write to standard output any more (${reason}); the work goes on without it.\n`)
  })
  process.stderr.on('error', () => {})
}

/** One line of JSON on standard output. */
export const writeJson = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** A number with fixed digits; what rounds to zero has no sign. */
export const fixed = (value: number, digits: number): string => value.toFixed(digits).replace(/^-(?=[0.]+$)/, '')

/** `Key   value` lines, the keys padded to one width. */
export function writeTable(rows: readonly (readonly [string, unknown])[]): void {
  const width = Math.max(...rows.map(([key]) => key.length))
  for (const [key, value] of rows) process.stdout.write(`${printable(`${key.padEnd(width)}  ${value}`)}\n`)
}

/** Writes an error to standard error, and with `--json` to standard output too. `MACTOK_DEBUG` shows its stack. */
export function reportError(error: unknown): void {
  explainSystemError(error)
  const { code, stack } = error as Error & { code?: string }
  const message = locateError(error as Error)
  if (process.argv.includes('--json')) writeJson({ error: { message, code: code ?? null } })
  if (error instanceof Interrupted) process.stderr.write(message && `${printable(message)}\n`)
  else process.stderr.write(`error: ${printable((process.env.MACTOK_DEBUG && stack) || message)}\n`)
}
