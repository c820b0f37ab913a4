/** A run's settings beside its preset's, and the command that gives them. */

import { configFields } from '../config.js'
import { generatorTrainingSchema, resolveGeneratorTraining } from '../training/generator/schema.js'
import { decoderTraining, fixedOfDecoder, resolveConfig } from '../training/tokenizer/presets.js'
import { trainingSchema } from '../training/tokenizer/schema.js'
import type { AnyRunRecord } from './run-folder.js'

export interface Setting {
  /** Dotted, as its flag. */
  name: string
  value: string
  /** What the preset has, where that is another value. */
  preset: string | null
  description: string
}

const valueAt = (config: unknown, name: string): unknown =>
  name.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], config)

/** As the command line takes it. */
const written = (value: unknown): string => (value === null || value === undefined ? 'none' : String(value))

/** What the run's preset and kind of training start from; plain defaults where the preset is no longer known. */
function base(record: AnyRunRecord): unknown {
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
  const start = base(record)
  return configFields(schemaOf(record)).map(({ name, description }) => {
    const [value, preset] = [record.config, start].map((config) => written(valueAt(config, name))) as [string, string]
    return { name, value, description, preset: value === preset ? null : preset }
  })
}

const quoted = (word: string) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)

/** Settings that the arguments say already. */
const unsaid = ['preset', 'part', 'init', 'flow.time']

/** The commands that repeat a run in another folder and use what it made. */
export function commandsOf(record: AnyRunRecord, folder: string): { what: string; command: string }[] {
  const decoding = record.kind === 'tokenizer' && record.config.part === 'decoder'
  const said = decoding ? fixedOfDecoder : unsaid
  const isSaid = (name: string) => said.some((one) => name === one || name.startsWith(`${one}.`))
  const changed = settingsOf(record).filter(({ name, preset }) => preset !== null && !isSaid(name))
  const flags = changed.flatMap(({ name, value }) =>
    name === 'data.strict' ? (value === 'true' ? ['--strict'] : []) : [`--${name}`, quoted(value)]
  )
  const line = (...words: (string | false | null | undefined)[]) => words.filter(Boolean).join(' ')
  const [run, again] = [quoted(folder), quoted(`${folder.replace(/[/\\]+$/, '')}-again`)]
  const { preset } = record.config
  if (record.kind === 'generator') {
    const { from, tokenizerFrom } = record.data
    const tokenizer = tokenizerFrom === null ? '<tokenizer>' : quoted(tokenizerFrom)
    const decoder = tokenizerFrom !== null && `--tokenizer ${tokenizer}`
    return [
      {
        what: 'train the same again',
        command: line('mactok train generator', preset, '--latents', quoted(from), decoder, '--out', again, ...flags)
      },
      { what: 'go on where it stopped', command: `mactok train generator --out ${run} --resume` },
      { what: 'draw samples', command: `mactok sample ${run} --tokenizer ${tokenizer} --grid samples.png --count 32` }
    ]
  }
  const { from, heldOutFrom } = record.data
  const start = decoding ? `decoder ${quoted(record.config.init as string)}` : `tokenizer ${preset ?? ''}`.trim()
  const heldOut = heldOutFrom !== null && `--held-out ${quoted(heldOutFrom)}`
  const data = `--data ${quoted(from)}`
  const resumed = decoding ? start : 'tokenizer'
  return [
    { what: 'train the same again', command: line('mactok train', start, data, heldOut, '--out', again, ...flags) },
    { what: 'go on where it stopped', command: `mactok train ${resumed} --out ${run} --resume` },
    { what: 'encode images', command: `mactok encode ${run} ${data} --out latents/` },
    { what: 'look at reconstructions', command: `mactok reconstruct ${run} ${data} --out grid.png` }
  ]
}
