/** Checks of arguments that many functions have; each names the parameter in its error. */

import { invalidParameter, outOfRange } from './errors.js'

export function positive(name: string, value: unknown): asserts value is number {
  if (typeof value !== 'number') throw invalidParameter(name, 'a positive integer', value)
  if (!Number.isSafeInteger(value) || value < 1) throw outOfRange(name, 'a positive integer', value)
}

export function natural(name: string, value: unknown): asserts value is number {
  if (typeof value !== 'number') throw invalidParameter(name, 'a non-negative integer', value)
  if (!Number.isSafeInteger(value) || value < 0) throw outOfRange(name, 'a non-negative integer', value)
}

export function pathTo(name: string, value: unknown): asserts value is string {
  if (typeof value !== 'string' || value === '') throw invalidParameter(name, 'a path', value)
}

export function flag(name: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') throw invalidParameter(name, 'a boolean', value)
}

export function oneOf(name: string, choices: readonly string[], value: unknown): void {
  if (!choices.includes(value as string)) throw outOfRange(name, `one of ${choices.join(', ')}`, value)
}

/** A class, with a constructor for all or not. */
interface Class<T> {
  prototype: T
  [Symbol.hasInstance](value: unknown): boolean
}

/** `what` with its article: `a Tokenizer`. */
export function instance<T>(name: string, what: string, type: Class<T>, value: unknown): asserts value is T {
  if (!(value instanceof type)) throw invalidParameter(name, what, value)
}

/** Of a function's options, a `signal` and the listeners `on…`: each may be left out. */
export function callbacks(options: object): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    if (name === 'signal') instance(name, 'an AbortSignal', AbortSignal, value)
    if (name.startsWith('on') && typeof value !== 'function') throw invalidParameter(name, 'a function', value)
  }
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export function text(name: string, what: string, value: unknown): asserts value is string {
  if (typeof value !== 'string' || value === '') throw invalidParameter(name, what, value)
}

/** An integer from `low` to `high`. */
export function integerWithin(name: string, low: number, high: number, value: unknown): asserts value is number {
  if (typeof value !== 'number') throw invalidParameter(name, `an integer from ${low} to ${high}`, value)
  if (!Number.isInteger(value) || value < low || value > high) {
    throw outOfRange(name, `an integer from ${low} to ${high}`, value)
  }
}
