/** Checks of arguments; each throws an error that names the parameter. */

import { invalidParameter, outOfRange } from './errors.js'

export function positive(name: string, value: unknown): asserts value is number {
  if (typeof value !== 'number') throw invalidParameter(name, 'a positive integer', value)
  if (!Number.isSafeInteger(value) || value < 1) throw outOfRange(name, 'a positive integer', value)
}

export function natural(name: string, value: unknown): asserts value is number {
  if (typeof value !== 'number') throw invalidParameter(name, 'a non-negative integer', value)
  if (!Number.isSafeInteger(value) || value < 0) throw outOfRange(name, 'a non-negative integer', value)
}

/** `what` with its article: `a folder`. */
export function text(name: string, what: string, value: unknown): asserts value is string {
  if (typeof value !== 'string' || value === '') throw invalidParameter(name, what, value)
}

export function pathTo(name: string, value: unknown): asserts value is string {
  text(name, 'a path', value)
  // Of which Node's own error does not say the name.
  if (value.includes('\0')) throw outOfRange(name, 'a path without null characters', value)
}

export function callback(name: string, value: unknown): asserts value is (...args: never[]) => unknown {
  if (typeof value !== 'function') throw invalidParameter(name, 'a function', value)
}

export function flag(name: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') throw invalidParameter(name, 'a boolean', value)
}

export function oneOf(name: string, choices: readonly string[], value: unknown): void {
  if (!choices.includes(value as string)) throw outOfRange(name, `one of ${choices.join(', ')}`, value)
}

/** `what` with its article: `a mean and a covariance`. */
export function object(name: string, what: string, value: unknown): void {
  if (!isRecord(value)) throw invalidParameter(name, what, value)
}

/** An array of objects. */
export function objects(name: string, value: unknown): asserts value is object[] {
  if (!Array.isArray(value)) throw invalidParameter(name, 'an array', value)
  for (const [i, one] of value.entries()) if (!isRecord(one)) throw invalidParameter(`${name}[${i}]`, 'an object', one)
}

/** A class, whether its constructor is private or not. */
interface Class<T> {
  prototype: T
  [Symbol.hasInstance](value: unknown): boolean
}

/** `what` with its article: `a Tokenizer`. */
export function instance<T>(name: string, what: string, type: Class<T>, value: unknown): asserts value is T {
  if (!(value instanceof type)) throw invalidParameter(name, what, value)
}

/** Checks an optional `signal` and the optional listeners `on…` among a function's options. */
export function callbacks(options: object): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    if (name === 'signal') instance(name, 'an AbortSignal', AbortSignal, value)
    if (name.startsWith('on')) callback(name, value)
  }
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Whether a value is an object of settings: no Map, typed array or other instance, of which no setting would be read. */
export const isSettings = (value: unknown): value is Record<string, unknown> => {
  if (!isRecord(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // Literals of another realm have another Object.prototype.
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

export function integerWithin(name: string, low: number, high: number, value: unknown): asserts value is number {
  if (typeof value !== 'number') throw invalidParameter(name, `an integer from ${low} to ${high}`, value)
  if (!Number.isInteger(value) || value < low || value > high) {
    throw outOfRange(name, `an integer from ${low} to ${high}`, value)
  }
}
