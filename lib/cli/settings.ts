/** Flags for every field of a configuration schema, and `--config file.yaml`. */

import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { parse } from 'yaml'
import type { z } from 'zod'
import { type ConfigField, configFields, mergeConfig } from '../config.js'
import { UsageError } from './context.js'

function number(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || Number.isNaN(value)) throw new InvalidArgumentError('Expected a number.')
  return value
}

/** Stands for null, which Commander would turn into an empty text. */
const nothing = Symbol('null')

/** `--masking.max <number>`, which converts and checks its value. */
function flag({ name, kind, choices, nullable, description }: ConfigField): Option {
  const words = kind === 'boolean' ? ['true', 'false'] : choices
  const shown = kind === 'words' ? words.join(',') : words.length > 0 ? words.join('|') : kind === 'list' ? 'a,b' : kind
  const option = new Option(`--${name} <${nullable ? `${shown}|none` : shown}>`, description)
  return option.argParser((text: string): unknown => {
    if (nullable && (text === 'none' || text === 'null')) return nothing
    if (kind === 'number') return number(text)
    if (kind === 'list') return text.split(',').map(number)
    if (kind === 'words') return text === 'none' ? [] : text.split(',')
    if (words.length > 0 && !words.includes(text))
      throw new InvalidArgumentError(`Expected one of ${words.join(', ')}.`)
    return kind === 'boolean' ? text === 'true' : text
  })
}

/** Adds `--config` and a flag such as `--masking.max` for every leaf of the schema. */
export function addSettings(
  command: Command,
  schema: z.core.$ZodType,
  hidden: readonly string[] | ((name: string) => boolean) = []
): void {
  command.option('--config <file>', 'settings from a YAML file, which flags override')
  for (const field of configFields(schema)) {
    if (typeof hidden === 'function' ? hidden(field.name) : hidden.includes(field.name)) continue
    command.addOption(flag(field).helpGroup('Settings:'))
  }
}

/** Settings by name from a YAML file. */
export function readConfig(file: string): Record<string, unknown> {
  let content: unknown
  try {
    content = parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new UsageError(`Cannot read ${file}: ${(error as Error).message}`)
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new UsageError(`Expected ${file} to hold settings by name`)
  }
  return content as Record<string, unknown>
}

/** The settings that were given: those of the file, with the flags laid over them. */
export function givenSettings(options: Record<string, unknown>, schema: z.core.$ZodType): Record<string, unknown> {
  let given = typeof options.config === 'string' ? readConfig(options.config) : {}
  for (const { name } of configFields(schema)) {
    // Commander keeps the dots of a name and joins its dashes, of which there are none.
    if (options[name] === undefined) continue
    const value = options[name] === nothing ? null : options[name]
    const nested = name.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value)
    given = mergeConfig(given, nested)
  }
  return given
}
