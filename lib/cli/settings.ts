/** Flags for every field of a settings schema, and `--config file.yaml`. */

import { type Command, InvalidArgumentError, Option } from 'commander'
import type { z } from 'zod'
import { type ConfigField, configFields, flagName, mergeConfig, nestSetting, parseConfig } from '../config.js'
import { overrideSetting, readConfig } from './config-file.js'
import { words } from './options.js'

function parseNumber(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || Number.isNaN(value)) throw new InvalidArgumentError('Expected a number.')
  return value
}

/** Stands for null, which Commander would turn into an empty text. */
const nothing = Symbol('null')

/** The value that a flag's text stands for. */
function readValue({ kind, choices }: ConfigField, text: string): unknown {
  if (kind === 'number') return parseNumber(text)
  if (kind === 'list') return words(text).map(parseNumber)
  if (kind === 'words') return text === 'none' ? [] : words(text)
  const allowed = kind === 'boolean' ? ['true', 'false'] : choices
  if (allowed.length > 0 && !allowed.includes(text)) {
    throw new InvalidArgumentError(`Expected one of ${allowed.join(', ')}.`)
  }
  return kind === 'boolean' ? text === 'true' : text
}

/** Longer placeholders would leave the help no room for descriptions. */
const placeholderLength = 38

/** The placeholder of a flag's value in the help: its choices, if they are short. */
function placeholder({ kind, choices, nullable }: ConfigField): string {
  const joined = (kind === 'boolean' ? ['true', 'false'] : choices).join(kind === 'words' ? ',' : '|')
  const shown = kind === 'list' ? 'a,b' : joined.length > placeholderLength ? 'kind' : joined || kind
  return nullable ? `${shown}|none` : shown
}

/** `--masking.max <number>`, which converts and checks its value; `--align.local [true|false]`, which alone is true. */
function valueFlag(field: ConfigField, description: string): Option {
  const flag = `--${flagName(field.name)}`
  const shown = placeholder(field)
  const option =
    field.kind === 'boolean'
      ? new Option(`${flag} [${shown}]`, description).preset('true')
      : new Option(`${flag} <${shown}>`, description)
  return option.argParser((text: string): unknown => {
    if (field.nullable && (text === 'none' || text === 'null')) return nothing
    const value = readValue(field, text)
    try {
      parseConfig(field.schema, value, flag)
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message)
    }
    return value
  })
}

/** `--moments`, and `--no-moments`, which is shown only where the default is on. */
function switchFlags({ name, fallback }: ConfigField, description: string): Option[] {
  const flag = flagName(name)
  const negative = new Option(`--no-${flag}`, `turn --${flag} off`)
  return [new Option(`--${flag}`, description), fallback === true ? negative : negative.hideHelp()]
}

/** A field's description in the words of the command line, with its choices if the placeholder is too short for them. */
function describeField(field: ConfigField): string {
  const { choices } = field
  const description = field.description.replaceAll('null:', 'none:')
  const isMissing = placeholder(field).startsWith('kind') && !choices.every((choice) => description.includes(choice))
  return isMissing ? `${description}; one of ${choices.join(', ')}` : description
}

const describeDefault = ({ fallback }: ConfigField): string => {
  const isShown = fallback !== undefined && fallback !== null && fallback !== false && fallback !== ''
  return isShown ? ` (default: ${fallback === true ? 'on' : fallback})` : ''
}

const hasPresets = (schema: z.core.$ZodType) => configFields(schema).some(({ name }) => name === 'preset')

/**
 * Adds `--config` and a flag such as `--masking.max` for every leaf of the schema.
 * @param defaultsVary - presets give other defaults: the help shows none, and a boolean may take a value, `--align.local false`
 */
export function addSettings(
  command: Command,
  schema: z.core.$ZodType,
  hidden: readonly string[] | ((name: string) => boolean) = [],
  defaultsVary = hasPresets(schema)
): void {
  command.option('--config <file>', 'read settings from a YAML file; flags override it')
  for (const field of configFields(schema)) {
    if (typeof hidden === 'function' ? hidden(field.name) : hidden.includes(field.name)) continue
    const description = describeField(field) + (defaultsVary ? '' : describeDefault(field))
    const isSwitch = field.kind === 'boolean' && !field.nullable && !defaultsVary
    const options = isSwitch ? switchFlags(field, description) : [valueFlag(field, description)]
    for (const option of options) command.addOption(option.helpGroup('Settings:'))
  }
}

/** The settings that were given: those of the file, overridden by flags. */
export function givenSettings<S extends z.core.$ZodType>(
  options: Record<string, unknown>,
  schema: S
): Partial<z.input<S>> {
  let given = typeof options.config === 'string' ? readConfig(options.config) : {}
  for (const { name } of configFields(schema)) {
    // Commander keeps the dots of a flag and turns its dashes back into camelCase.
    if (options[name] === undefined) continue
    overrideSetting(name)
    const value = options[name] === nothing ? null : options[name]
    given = mergeConfig(given, nestSetting(name, value))
  }
  return given as Partial<z.input<S>>
}
