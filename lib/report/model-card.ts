/** The card of a published model, its repository's README.md: what it is, its numbers, its recipe, how to load it. */

import path from 'node:path'
import { isRecord } from '../checks.js'
import type { GeneratorConfig } from '../generator/schema.js'
import type { TokenizerConfig } from '../tokenizer/schema.js'
import { isName } from '../weights/locate.js'
import { short, titleOf } from './document.js'
import type { EvaluationTable } from './evaluations.js'
import type { AnyRunRecord } from './run-folder.js'
import { commandsOf, settingsOf } from './settings.js'

export type CardModel =
  | { kind: 'tokenizer'; config: TokenizerConfig }
  | { kind: 'generator'; config: GeneratorConfig; tokenizer: string | null }

/** What a run folder adds to a model. */
export interface CardRun {
  record: AnyRunRecord
  /** The model's step. */
  step: number
  evaluations: readonly EvaluationTable[]
}

export interface Card {
  /** `owner/name` */
  repo: string
  model: CardModel
  parameters: number
  /** Null for a model that is no run's. */
  run: CardRun | null
  /** The name of a grid of reconstructions or samples in the repository. */
  grid: string | null
  license: string | null
}

const table = (headings: readonly string[], rows: readonly (readonly string[])[]): string =>
  [headings, headings.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')

const code = (language: string, ...lines: string[]): string => [`\`\`\`${language}`, ...lines, '```'].join('\n')

/** The front matter by which the Hub finds models. */
function frontMatter({ model, license }: Card): string {
  const tags = ['mactok', model.kind === 'tokenizer' ? 'image-tokenizer' : 'image-generation', 'arxiv:2603.29634']
  const lines = ['library_name: mactok', ...(license === null ? [] : [`license: ${license}`]), 'tags:']
  return ['---', ...lines, ...tags.map((tag) => `- ${tag}`), '---'].join('\n')
}

const millions = (count: number): string =>
  count < 1e5 ? `${count.toLocaleString('en')} parameters` : `${short(count / 1e6)} M parameters`

function describe({ model, parameters, run }: Card): string {
  const trained =
    run === null
      ? '.'
      : `, after ${run.step.toLocaleString('en')} of ${run.record.settled.steps.toLocaleString('en')} training steps.`
  if (model.kind === 'tokenizer') {
    const { imageSize, latentTokens, latentChannels, bottleneck } = model.config
    const tokens = `${latentTokens} latent tokens of ${latentChannels} channels`
    const what = `images of ${imageSize} × ${imageSize} pixels as ${tokens}`
    return `A one-dimensional image tokenizer (${bottleneck}): ${what}, ${millions(parameters)}${trained}`
  }
  const { model: network, latentShape, classes } = model.config
  const name = network === 'sit' ? 'SiT' : 'LightningDiT'
  const what = `latents of ${latentShape.join(' × ')}, ${classes} ${classes === 1 ? 'class' : 'classes'}`
  return `A generator of images (${name}): ${what}, ${millions(parameters)}${trained}`
}

function evaluationTable(evaluations: readonly EvaluationTable[]): string {
  const names = [...new Set(evaluations.flatMap(({ values }) => Object.keys(values)))]
  const cell = (value: number | undefined) => (value === undefined ? '–' : short(value))
  return table(
    ['', ...evaluations.map(({ name, step }) => (step === undefined ? name : `${name}, step ${step}`))],
    names.map((name) => [titleOf(name), ...evaluations.map(({ values }) => cell(values[name]))])
  )
}

/** The same with the last part of each path alone: folders tell about the machine. Names such as `owner/name` stay. */
function withoutFolders<T>(value: T): T {
  if (typeof value === 'string') {
    const isFile = /[\\/]/.test(value) && !isName(value)
    return (isFile ? path.posix.basename(value.replaceAll('\\', '/')) : value) as T
  }
  if (!isRecord(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withoutFolders(inner)])) as T
}

/** The record with neutral names instead of the paths on the machine that trained. */
function withoutPaths(record: AnyRunRecord): AnyRunRecord {
  if (record.kind === 'generator') {
    const { config, data } = record
    const reference = data.referenceFrom?.endsWith('.npz') ? 'reference.npz' : 'reference/'
    const places = {
      from: 'latents/',
      tokenizerFrom: data.tokenizerFrom && 'tokenizer/',
      referenceFrom: data.referenceFrom ? reference : null
    }
    return { ...record, config: withoutFolders(config), data: { ...data, ...places } }
  }
  const { config, data } = record
  const places = { from: 'images/', heldOutFrom: data.heldOutFrom && 'held-out/' }
  return { ...record, config: withoutFolders(config), data: { ...data, ...places } }
}

function recipe(run: CardRun, repo: string): string {
  const record = withoutPaths(run.record)
  const folder = `runs/${path.posix.basename(repo)}`
  const command = commandsOf(record, folder)[0]?.command.replace(`${folder}-again`, folder) ?? ''
  const changed = settingsOf(record).filter(({ preset }) => preset !== null)
  const rows = changed.map((setting) => [setting.name, setting.value, setting.preset].map((word) => `\`${word}\``))
  const base = record.config.preset === null ? 'default' : `\`${record.config.preset}\``
  const versions = Object.entries(record.versions).map(([what, version]) => `${what} ${version}`)
  return [
    '## Recipe',
    code('sh', command),
    ...(rows.length > 0 ? [table(['setting', 'value', base], rows)] : []),
    `Trained with ${versions.join(', ')}.`
  ].join('\n\n')
}

function loading({ repo, model }: Card): string {
  const isTokenizer = model.kind === 'tokenizer'
  const type = isTokenizer ? 'Tokenizer' : 'Generator'
  const node = isTokenizer
    ? ['using latents = await tokenizer.encode(images)', 'using decoded = await tokenizer.decode(latents)']
    : ['const { latents } = await generator.sample({ count: 8, guidance: 2 })']
  const python = isTokenizer
    ? ['latents = tokenizer.encode(images)', 'decoded = tokenizer.decode(latents)']
    : ['latents = generator.sample(count=8, guidance=2)']
  return [
    '## From Node',
    code(
      'js',
      `import { pullWeights, ${type} } from 'mactok'`,
      '',
      `await pullWeights('${repo}')`,
      `using ${model.kind} = await ${type}.load('${repo}')`,
      ...node
    ),
    '## From Python',
    'With `torch`, `safetensors` and `huggingface_hub`; `mactok.py` is part of this repository.',
    code(
      'python',
      'import sys',
      'from huggingface_hub import snapshot_download',
      '',
      `folder = snapshot_download("${repo}")`,
      'sys.path.append(folder)',
      `from mactok import ${type}`,
      '',
      `${model.kind} = ${type}.load(folder)`,
      ...python
    )
  ].join('\n\n')
}

/** Writes the card as Markdown. Paths of the machine that trained are left out. */
export function writeModelCard(card: Card): string {
  const { repo, model, run, grid } = card
  const image = model.kind === 'tokenizer' ? 'Images, masks and reconstructions' : 'Samples'
  const decoder =
    model.kind === 'generator' && model.tokenizer !== null
      ? [`Its latents are those of the tokenizer with the identity \`${model.tokenizer}\`.`]
      : []
  return [
    frontMatter(card),
    `# ${path.posix.basename(repo)}`,
    describe(card),
    ...decoder,
    ...(grid === null ? [] : [`![${image}](${grid})`]),
    ...(run && run.evaluations.length > 0 ? ['## Numbers', evaluationTable(run.evaluations)] : []),
    loading(card),
    ...(run ? [recipe(run, repo)] : [])
  ]
    .join('\n\n')
    .concat('\n')
}
