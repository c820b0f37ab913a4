/** What a command writes: JSON lines, tables, errors. */

import { Interrupted } from './exit.js'

/** One line of JSON on standard output. */
export const writeJson = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** A number with fixed digits; what rounds to zero has no sign. */
export const fixed = (value: number, digits: number): string => value.toFixed(digits).replace(/^-(?=[0.]+$)/, '')

/** `Key   value` lines, the keys padded to one width. */
export function writeTable(rows: readonly (readonly [string, unknown])[]): void {
  const width = Math.max(...rows.map(([key]) => key.length))
  for (const [key, value] of rows) process.stdout.write(`${key.padEnd(width)}  ${value}\n`)
}

/** Writes an error to standard error, and with `--json` to standard output too. `MACTOK_DEBUG` shows its stack. */
export function reportError(error: unknown): void {
  const { message, code, stack } = error as Error & { code?: string }
  if (process.argv.includes('--json')) writeJson({ error: { message, code: code ?? null } })
  if (error instanceof Interrupted) process.stderr.write(`${message}\n`)
  else process.stderr.write(`error: ${process.env.MACTOK_DEBUG ? stack : message}\n`)
}
