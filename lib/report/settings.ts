/** A run's settings compared with its preset's, and the commands that repeat and use it. */

import { configFields, flagName } from '../config.js'
import { withoutSecrets } from '../files/address.js'
import { generatorTrainingSchema, resolveGeneratorTraining } from '../training/generator/schema.js'
import { decoderTraining, fixedOfDecoder, resolveConfig } from '../training/tokenizer/presets.js'
import { trainingSchema } from '../training/tokenizer/schema.js'
import type { AnyRunRecord } from './run-folder.js'

export interface Setting {
  /** Its dotted name. */
  name: string
  value: string
  /** The preset's value, where it differs. */
  preset: string | null
  description: string
}

const valueAt = (config: unknown, name: string): unknown =>
  name.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], config)

/** A value as the command line takes it. */
const format = (value: unknown): string =>
  value === null || value === undefined ? 'none' : withoutSecrets(String(value))

/** The settings that the run's preset and kind of training start from; plain defaults where the preset is no longer known. */
function baseSettings(record: AnyRunRecord): unknown {
  const { preset } = record.config
  const input = preset === null ? {} : { preset }
  try {
    if (record.kind === 'generator') return resolveGeneratorTraining(input)
    const { part, init } = record.config
    return part === 'decoder' && init !== null ? resolveConfig(decoderTraining(input, init)) : resolveConfig(input)
  } catch {
    return record.kind === 'generator' ? resolveGeneratorTraining({}) : resolveConfig({})
  }
}

const schemaOf = (record: AnyRunRecord) => (record.kind === 'generator' ? generatorTrainingSchema : trainingSchema)

/** Every setting of a run. */
export function settingsOf(record: AnyRunRecord): Setting[] {
  const start = baseSettings(record)
  return configFields(schemaOf(record)).map(({ name, description }) => {
    const [value, preset] = [record.config, start].map((config) => format(valueAt(config, name))) as [string, string]
    return { name, value, description, preset: value === preset ? null : preset }
  })
}

const quoted = (word: string) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)

/** A path, or an address without its secrets, as a word of a command. */
const place = (location: string) => quoted(withoutSecrets(location))

/** Settings that the arguments give. */
const implied = ['preset', 'flow.time']

/** The commands that repeat a run in another folder, resume it and use it. */
export function commandsOf(record: AnyRunRecord, folder: string): { what: string; command: string }[] {
  const decoding = record.kind === 'tokenizer' && record.config.part === 'decoder'
  const given = decoding ? fixedOfDecoder : implied
  const isGiven = (name: string) => given.some((one) => name === one || name.startsWith(`${one}.`))
  const changed = settingsOf(record).filter(({ name, preset }) => preset !== null && !isGiven(name))
  // Only the training of a whole tokenizer has a flag of its own for it.
  const isStrict = (name: string) => name === 'data.strict' && !decoding
  const flags = changed.flatMap(({ name, value }) =>
    isStrict(name) ? (value === 'true' ? ['--strict'] : []) : [`--${flagName(name)}`, quoted(value)]
  )
  const line = (...words: (string | false | null | undefined)[]) => words.filter(Boolean).join(' ')
  const [run, again] = [quoted(folder), quoted(`${folder.replace(/[/\\]+$/, '')}-again`)]
  const { preset } = record.config
  if (record.kind === 'generator') {
    const { from, tokenizerFrom, referenceFrom } = record.data
    const tokenizer = tokenizerFrom === null ? '<tokenizer>' : place(tokenizerFrom)
    const decoder = tokenizerFrom !== null && `--tokenizer ${tokenizer}`
    const reference = referenceFrom && `--reference ${place(referenceFrom)}`
    const sources = line('--latents', place(from), decoder, reference)
    return [
      {
        what: 'train the same again',
        command: line('mactok train generator', preset, sources, '--out', again, ...flags)
      },
      { what: 'resume it', command: `mactok train generator --out ${run} --resume` },
      { what: 'draw samples', command: `mactok sample ${run} --tokenizer ${tokenizer} --grid samples.png --count 32` }
    ]
  }
  const { from, heldOutFrom } = record.data
  const start = decoding ? `decoder ${place(record.config.init as string)}` : `tokenizer ${preset ?? ''}`.trim()
  const heldOut = heldOutFrom !== null && `--held-out ${place(heldOutFrom)}`
  const data = `--data ${place(from)}`
  const resumed = decoding ? start : 'tokenizer'
  return [
    { what: 'train the same again', command: line('mactok train', start, data, heldOut, '--out', again, ...flags) },
    { what: 'resume it', command: `mactok train ${resumed} --out ${run} --resume` },
    { what: 'encode images', command: `mactok encode ${run} ${data} --out latents/` },
    { what: 'reconstruct images', command: `mactok reconstruct ${run} ${data} --out grid.png` }
  ]
}

/** A setting that is not the same everywhere. */
export interface SettingDifference {
  name: string
  description: string
  /** By run, as the command line takes it. */
  values: Record<string, string>
}

/** The settings in which runs of one kind differ, and where their data and the versions of their software do. */
export function differingSettings(runs: readonly { name: string; record: AnyRunRecord }[]): SettingDifference[] {
  const named = runs.map(({ name, record }) => {
    const { from } = record.data
    const versions = Object.entries(record.versions).map(([what, version]) => [
      what,
      { value: version, description: 'version' }
    ])
    const settings = settingsOf(record).map(({ name, value, description }) => [name, { value, description }])
    const all: Record<string, { value: string; description: string }> = Object.fromEntries([
      ...settings,
      ['data', { value: withoutSecrets(from), description: 'what it was trained on' }],
      ...versions
    ])
    return { name, all }
  })
  const names = [...new Set(named.flatMap(({ all }) => Object.keys(all)))]
  return names.flatMap((setting): SettingDifference[] => {
    const values = Object.fromEntries(named.map(({ name, all }) => [name, all[setting]?.value ?? 'none']))
    if (new Set(Object.values(values)).size === 1) return []
    const description = named.map(({ all }) => all[setting]?.description).find((text) => text !== undefined) ?? ''
    return [{ name: setting, description, values }]
  })
}
