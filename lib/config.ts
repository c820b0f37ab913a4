/** Validates configurations with zod schemas, and lists a schema's fields for the command line. */

import { z } from 'zod'
import { invalidParameter, outOfRange } from './errors.js'

/** Kinds of numbers that many schemas have. */
export const positive = z.number().int().positive()
export const natural = z.number().int().nonnegative()
export const fraction = z.number().min(0).max(1)

/** Joins a path to a dotted name such as `masking.max`. */
const dotted = (where: string, path: readonly PropertyKey[]) => [where, ...path.map(String)].filter(Boolean).join('.')

const valueAt = (input: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], input)

/** Levenshtein distance: the number of edits (insert, delete, replace) between two words. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next[j] = Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1)
    }
    row = next
  }
  return row[b.length] as number
}

/** `; did you mean …?` with the known name closest to `name`, or an empty string when none is close. */
export function suggestion(name: unknown, known: readonly string[]): string {
  if (typeof name !== 'string') return ''
  const near = known
    .map((word) => ({ word, distance: editDistance(name.toLowerCase(), word.toLowerCase()) }))
    .filter(({ word, distance }) => distance <= Math.max(1, Math.floor(Math.max(word.length, name.length) / 3)))
    .sort((a, b) => a.distance - b.distance)
  return near[0] ? `; did you mean ${near[0].word}?` : ''
}

/**
 * Refuses options that a function does not have; for those that no schema validates.
 * @param known - every option, so that none is forgotten here
 * @throws {TypeError} for no options object, and for an unknown option, with the closest known one
 */
export function checkOptions<T extends object>(
  options: T,
  known: { readonly [Name in keyof Required<T>]: true }
): void {
  if (!isPlain(options)) throw invalidParameter('options', 'an object', options)
  const unknown = Object.keys(options).find((name) => !Object.hasOwn(known, name))
  if (unknown !== undefined) throw new TypeError(`Unknown setting ${unknown}${suggestion(unknown, Object.keys(known))}`)
}

const wrappers = ['nullable', 'default', 'prefault', 'optional', 'readonly'] as const
type Wrapper = Extract<z.core.$ZodTypes['_zod']['def'], { type: (typeof wrappers)[number] }>
const isWrapper = (def: { type: string }): def is Wrapper => (wrappers as readonly string[]).includes(def.type)

/** Removes a schema's wrappers: default, nullable, optional, readonly. */
function unwrap(schema: z.core.$ZodType): { schema: z.core.$ZodType; nullable: boolean } {
  let nullable = false
  let inner = schema
  for (;;) {
    const { def } = (inner as z.core.$ZodTypes)._zod
    if (def.type === 'nullable') nullable = true
    if (!isWrapper(def)) return { schema: inner, nullable }
    inner = def.innerType
  }
}

function shapeOf(schema: z.core.$ZodType): Record<string, z.core.$ZodType> | undefined {
  const { def } = (unwrap(schema).schema as z.core.$ZodTypes)._zod
  return def.type === 'object' ? def.shape : undefined
}

/** A leaf of a configuration schema. */
export interface ConfigField {
  /** Its dotted name, `masking.max`. */
  name: string
  /** `list`: numbers; `words`: any of the choices. */
  kind: 'number' | 'boolean' | 'string' | 'choice' | 'list' | 'words'
  choices: string[]
  nullable: boolean
  /** The default; undefined for none. */
  fallback: unknown
  description: string
  schema: z.core.$ZodType
}

/** A setting's name as a flag has it, without the dashes before it: `optimizer.weight-decay` for `optimizer.weightDecay`. */
export const flagName = (name: string): string =>
  name.replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

function defaultOf(schema: z.core.$ZodType): unknown {
  const { def } = (schema as z.core.$ZodTypes)._zod
  if (def.type === 'default' || def.type === 'prefault') return def.defaultValue
  return 'innerType' in def ? defaultOf(def.innerType as z.core.$ZodType) : undefined
}

function description(schema: z.core.$ZodType): string {
  for (let inner = schema; ; ) {
    const text = (inner as z.ZodType).description
    if (text) return text
    const { def } = (inner as z.core.$ZodTypes)._zod
    if (!('innerType' in def)) return ''
    inner = def.innerType as z.core.$ZodType
  }
}

/** Lists the leaves of an object schema in the order of declaration, as the command line offers them. */
export function configFields(schema: z.core.$ZodType, where = ''): ConfigField[] {
  return Object.entries(shapeOf(schema) ?? {}).flatMap(([key, field]): ConfigField[] => {
    const name = dotted(where, [key])
    if (shapeOf(field)) return configFields(field, name)
    const { schema: leaf, nullable } = unwrap(field)
    const { def } = (leaf as z.core.$ZodTypes)._zod
    const element = def.type === 'array' ? (def.element as z.core.$ZodTypes)._zod.def : def
    const numbers = def.type === 'tuple' || (def.type === 'array' && element.type === 'number')
    const choices = element.type === 'enum' ? Object.values(element.entries).map(String) : []
    const kind =
      def.type === 'number' || def.type === 'boolean'
        ? def.type
        : def.type === 'enum'
          ? 'choice'
          : numbers
            ? 'list'
            : def.type === 'array' && choices.length > 0
              ? 'words'
              : 'string'
    return [
      { name, kind, choices, nullable, fallback: defaultOf(field), description: description(field), schema: field }
    ]
  })
}

function knownKeys(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  let shape = shapeOf(schema)
  for (const key of path) shape = shape?.[String(key)] ? shapeOf(shape[String(key)] as z.core.$ZodType) : undefined
  return Object.keys(shape ?? {})
}

/** The schema at a path, without its wrappers. */
function leafAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): z.core.$ZodType | undefined {
  const leaf = path.reduce<z.core.$ZodType | undefined>((outer, key) => {
    const inner = outer && unwrap(outer).schema
    const def = inner && (inner as z.core.$ZodTypes)._zod.def
    if (def?.type === 'array') return def.element
    return inner && shapeOf(inner)?.[String(key)]
  }, schema)
  return leaf && unwrap(leaf).schema
}

/** `a positive integer` for an integer from 1 on, `a non-negative integer` for one from 0 on, else undefined. */
function integerRange(leaf: z.core.$ZodType | undefined): string | undefined {
  if (!(leaf as z.ZodNumber | undefined)?.isInt) return undefined
  const checks = (leaf?._zod.def.checks ?? []).map(({ _zod }) => _zod.def as Partial<z.core.$ZodCheckGreaterThanDef>)
  const lowest = checks.find(({ check }) => check === 'greater_than')
  const low = lowest && Number(lowest.value) + (lowest.inclusive ? 0 : 1)
  return low === 1 ? 'a positive integer' : low === 0 ? 'a non-negative integer' : undefined
}

const articles: Record<string, string> = { int: 'an integer', object: 'an object', array: 'an array' }

function configError(schema: z.core.$ZodType, issue: z.core.$ZodIssue, input: unknown, where: string): Error {
  // An element of a list is called by the list's name.
  const named = issue.path.filter((key) => typeof key !== 'number')
  const name = dotted(where, named) || 'the configuration'
  const received = valueAt(input, issue.path)
  const range = integerRange(leafAt(schema, issue.path))
  switch (issue.code) {
    case 'unrecognized_keys': {
      const key = issue.keys[0] as string
      const known = knownKeys(schema, issue.path)
      // The same word may live one level deeper: `max` is `masking.max`.
      const elsewhere = configFields(schema).filter((field) => field.name.split('.').at(-1) === key)
      const hint = suggestion(key, known) || (elsewhere[0] ? `; did you mean ${elsewhere[0].name}?` : '')
      return new TypeError(`Unknown setting ${dotted(where, [...issue.path, key])}${hint}`)
    }
    case 'invalid_type': {
      const expected = range ?? articles[issue.expected] ?? `a ${issue.expected}`
      // A number that is no integer has the right type.
      const isNumber = typeof received === 'number' && ['number', 'int'].includes(issue.expected)
      return (isNumber ? outOfRange : invalidParameter)(name, expected, received)
    }
    case 'invalid_value': {
      const amount = named.length < issue.path.length ? 'some' : 'one'
      return outOfRange(name, `${amount} of ${issue.values.map(String).join(', ')}`, received)
    }
    case 'too_small':
      return outOfRange(name, range ?? `${issue.inclusive ? 'at least' : 'above'} ${issue.minimum}`, received)
    case 'too_big':
      return outOfRange(name, `${issue.inclusive ? 'at most' : 'below'} ${issue.maximum}`, received)
    case 'custom':
      return new RangeError(`${name}: ${issue.message}`)
    default:
      return new TypeError(`${name}: ${issue.message}`)
  }
}

/**
 * Validates a configuration and fills in its defaults.
 * @param where - prefix of the field's name in errors, for example `masking`
 * @throws {TypeError} for an unknown key (suggesting the closest known one) or a wrong type
 * @throws {RangeError} for a value out of range
 */
export function parseConfig<S extends z.core.$ZodType>(schema: S, input: unknown, where = ''): z.output<S> {
  const result = safeParse(schema, input, where)
  if (result.success) return result.data as z.output<S>
  const issue = result.error.issues[0] as z.core.$ZodIssue
  const error = configError(schema, issue, input, where)
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] as string] : issue.path
  settingPaths.set(error, path)
  throw error
}

function safeParse(schema: z.core.$ZodType, input: unknown, where: string) {
  try {
    return (schema as unknown as z.ZodType).safeParse(input)
  } catch (cause) {
    // zod freezes what it reads, even where it refuses it; a typed array cannot be.
    throw new TypeError(`Expected plain values for ${where || 'the settings'}: ${(cause as Error).message}`, { cause })
  }
}

/** The setting that an error of parseConfig is about. */
const settingPaths = new WeakMap<Error, readonly PropertyKey[]>()

/** The path of the setting that parseConfig refused with an error; undefined for any other error. */
export const refusedSetting = (error: unknown): readonly PropertyKey[] | undefined =>
  error instanceof Error ? settingPaths.get(error) : undefined

type Plain = Record<string, unknown>
const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Deeply merges `changes` into a copy of `base`; `undefined` changes nothing.
 * @param left - levels that may follow; none are that deep but those that contain themselves
 * @throws {TypeError} for a key `__proto__`, which no assignment would keep
 */
export function mergeConfig(base: unknown, changes: unknown, left = 64): Plain {
  if (left === 0) throw invalidParameter('settings', 'settings that do not contain themselves', changes)
  const merged: Plain = isPlain(base) ? { ...base } : {}
  for (const [key, value] of Object.entries(isPlain(changes) ? changes : {})) {
    if (key === '__proto__') throw new TypeError('Unknown setting __proto__')
    if (value === undefined) continue
    merged[key] = isPlain(value) ? mergeConfig(merged[key], value, left - 1) : value
  }
  return merged
}

/** Those of parsed settings that an object schema has. */
export function pickSettings<S extends z.ZodObject>(schema: S, settings: z.output<S>): z.output<S> {
  const picked = Object.entries(settings).filter(([name]) => Object.hasOwn(schema.shape, name))
  return Object.fromEntries(picked) as z.output<S>
}

/** The settings in which one has a value: `masking.max` and .5 give `{ masking: { max: .5 } }`. */
export const nestSetting = (name: string, value: unknown): unknown =>
  name.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value)
