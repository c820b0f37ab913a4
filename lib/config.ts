/** Validates configurations with zod schemas, and lists a schema's fields for the command line. */

import type { z } from 'zod'
import { invalidParameter, outOfRange } from './errors.js'

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
export function suggestion(name: string, known: readonly string[]): string {
  const near = known
    .map((word) => ({ word, distance: editDistance(name.toLowerCase(), word.toLowerCase()) }))
    .filter(({ word, distance }) => distance <= Math.max(1, Math.floor(Math.max(word.length, name.length) / 3)))
    .sort((a, b) => a.distance - b.distance)
  return near[0] ? `; did you mean ${near[0].word}?` : ''
}

/** Removes a schema's wrappers: default, nullable, optional. */
function unwrap(schema: z.core.$ZodType): { schema: z.core.$ZodType; nullable: boolean } {
  let nullable = false
  let inner = schema
  for (;;) {
    const { def } = (inner as z.core.$ZodTypes)._zod
    if (def.type === 'nullable') nullable = true
    if (def.type !== 'nullable' && def.type !== 'default' && def.type !== 'prefault' && def.type !== 'optional') {
      return { schema: inner, nullable }
    }
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
  description: string
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
    const choices = element.type === 'enum' ? Object.values(element.entries).map(String) : []
    const kind =
      def.type === 'number' || def.type === 'boolean'
        ? def.type
        : def.type === 'enum'
          ? 'choice'
          : def.type === 'tuple'
            ? 'list'
            : def.type === 'array' && choices.length > 0
              ? 'words'
              : 'string'
    return [{ name, kind, choices, nullable, description: description(field) }]
  })
}

function knownKeys(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  let shape = shapeOf(schema)
  for (const key of path) shape = shape?.[String(key)] ? shapeOf(shape[String(key)] as z.core.$ZodType) : undefined
  return Object.keys(shape ?? {})
}

function configError(schema: z.core.$ZodType, issue: z.core.$ZodIssue, input: unknown, where: string): Error {
  const name = dotted(where, issue.path) || 'the configuration'
  const received = valueAt(input, issue.path)
  switch (issue.code) {
    case 'unrecognized_keys': {
      const key = issue.keys[0] as string
      const known = knownKeys(schema, issue.path)
      // The same word may live one level deeper: `max` is `masking.max`.
      const elsewhere = configFields(schema).filter((field) => field.name.split('.').at(-1) === key)
      const hint = suggestion(key, known) || (elsewhere[0] ? `; did you mean ${elsewhere[0].name}?` : '')
      return new TypeError(`Unknown setting ${dotted(where, [...issue.path, key])}${hint}`)
    }
    case 'invalid_type':
      return invalidParameter(name, issue.expected === 'int' ? 'integer' : issue.expected, received)
    case 'invalid_value':
      return outOfRange(name, `one of ${issue.values.map(String).join(', ')}`, received)
    case 'too_small':
      return outOfRange(name, `${issue.inclusive ? 'at least' : 'above'} ${issue.minimum}`, received)
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
  const result = (schema as unknown as z.ZodType).safeParse(input)
  if (result.success) return result.data as z.output<S>
  throw configError(schema, result.error.issues[0] as z.core.$ZodIssue, input, where)
}

type Plain = Record<string, unknown>
const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Deeply merges `changes` into a copy of `base`; `undefined` changes nothing. */
export function mergeConfig(base: unknown, changes: unknown): Plain {
  const merged: Plain = isPlain(base) ? { ...base } : {}
  for (const [key, value] of Object.entries(isPlain(changes) ? changes : {})) {
    if (value === undefined) continue
    merged[key] = isPlain(value) ? mergeConfig(merged[key], value) : value
  }
  return merged
}
