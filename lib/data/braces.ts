import { outOfRange } from '../errors.js'

/** The longest range: a mistyped one must not fill the memory. */
const mostFiles = 1_000_000

/**
 * Expands `{a,b}` and `{000..131}` (zero-padded as written) as a shell does, except nested braces. Text without braces
 * stays as it is.
 */
export function expandBraces(pattern: string): string[] {
  const match = /^(.*?)\{([^{}]*)\}(.*)$/s.exec(pattern)
  if (!match) return [pattern]
  const [, before, body, after] = match as unknown as [string, string, string, string]
  const choices = expandRange(body) ?? (body.includes(',') ? body.split(',') : null)
  if (!choices) return expandBraces(after).map((rest) => `${before}{${body}}${rest}`)
  return choices.flatMap((choice) => expandBraces(before + choice + after))
}

/** Expands `first..last`; null for anything else. */
function expandRange(body: string): string[] | null {
  const match = /^(\d+)\.\.(\d+)$/.exec(body)
  if (!match) return null
  const [, first, last] = match as unknown as [string, string, string]
  const width = first.startsWith('0') || last.startsWith('0') ? Math.max(first.length, last.length) : 0
  const [from, to] = [Number(first), Number(last)]
  const step = Math.sign(to - from) || 1
  if (Math.abs(to - from) >= mostFiles) throw outOfRange('path', `a range of at most ${mostFiles} files`, `{${body}}`)
  return Array.from({ length: Math.abs(to - from) + 1 }, (_, i) => String(from + i * step).padStart(width, '0'))
}
