/** Opens files of weights of either kind: safetensors and checkpoints of `torch.save`. */

import { pathTo } from '../checks.js'
import { MactokError } from '../errors.js'
import { isTorchFile } from './content.js'
import { fromFormat, isWeightDtype } from './dtype.js'
import { PickleRecord } from './pickle.js'
import { readSafetensors } from './reader.js'
import { fileWeights, type Weights } from './tensors.js'
import { TorchFile } from './torch-reader.js'
import { TorchTensor } from './torch-tensor.js'
import { chooseGroup } from './wrappers.js'

/** The plain, small values of a checkpoint besides its tensors. */
export type CheckpointRecord = Readonly<Record<string, unknown>>

export interface WeightsFile extends AsyncDisposable {
  readonly path: string
  /**
   * State dicts by their key in the checkpoint, `ema`; under '' the file's own tensors, if it is a state dict itself.
   */
  readonly groups: ReadonlyMap<string, Weights>
  /** Tensors of types that MacTok does not support; no group has them. */
  readonly unsupported: readonly string[]
  /** Plain entries of the checkpoint, including those nested in dicts such as `args` and `config`. */
  readonly record: CheckpointRecord
  /** The metadata of a safetensors file. */
  readonly metadata: Readonly<Record<string, string>>
  close(): Promise<void>
}

/**
 * Opens a file of weights of either kind, whatever its name.
 * @throws {MactokError} `ERR_FORMAT` for damaged files and for checkpoints without tensors
 */
export async function openWeightsFile(path: string): Promise<WeightsFile> {
  pathTo('path', path)
  if (await isTorchFile(path)) return openTorchFile(path)
  const file = await readSafetensors(path)
  const close = () => file.close()
  try {
    const { metadata } = file
    const isSupported = (name: string) => fromFormat(file.info(name).format) !== undefined
    const groups = new Map([['', new Map([...fileWeights(file)].filter(([name]) => isSupported(name)))]])
    const others = [...file.tensors.values()].filter(({ name }) => !isSupported(name))
    const unsupported = others.map(({ name, format }) => `${name} (${format})`)
    return { path, groups, unsupported, record: {}, metadata, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

export interface OpenWeights extends AsyncDisposable {
  /** Read them before `close`. */
  weights: Weights
  close(): Promise<void>
}

/** Opens the tensors that `chooseGroup` chooses in a file of either kind. */
export async function openWeights(path: string): Promise<OpenWeights> {
  const file = await openWeightsFile(path)
  const close = () => file.close()
  try {
    return { weights: chooseGroup(file).weights, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

async function openTorchFile(path: string): Promise<WeightsFile> {
  const file = await TorchFile.open(path)
  const close = () => file.close()
  try {
    const groups = new Map<string, Weights>()
    const unsupported: string[] = []
    for (const [name, value] of [['', file.root] as const, ...entries(file.root).slice(0, maxGroups)]) {
      const tensors = stateDict(value)
      const usable = tensors.filter(([, { dtype }]) => isWeightDtype(dtype))
      if (usable.length > 0) groups.set(name, new Map(usable.map(([key, each]) => [key, file.weight(key, each)])))
      for (const [key, { dtype }] of tensors) {
        if (!isWeightDtype(dtype)) unsupported.push(`${name === '' ? key : `${name}.${key}`} (${dtype})`)
      }
    }
    if (groups.size === 0) {
      const others =
        unsupported.length > 0 ? ` of types that MacTok supports: ${unsupported.slice(0, 3).join(', ')}` : ''
      throw new MactokError('ERR_FORMAT', `${path} has no named tensors${others}`)
    }
    const record = plainRecord(file.root)
    return { path, groups, unsupported, record, metadata: {}, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Far more than any state dict has. */
const maxEntries = 50_000
const maxGroups = 100

/** The entries of a dict, or of an object's attributes, that have text as keys; none if there are unreasonably many. */
function entries(value: unknown): [string, unknown][] {
  const map = value instanceof PickleRecord ? (value.state ?? value.entries) : value
  if (!(map instanceof Map) || map.size > maxEntries) return []
  return [...map].filter((entry): entry is [string, unknown] => typeof entry[0] === 'string')
}

/** The named tensors of a dict. */
const stateDict = (value: unknown): [string, TorchTensor][] =>
  value instanceof Map
    ? entries(value).filter((entry): entry is [string, TorchTensor] => entry[1] instanceof TorchTensor)
    : []

const maxText = 1000
/** Limit on the values visited: objects that contain themselves would never end. */
const maxValues = 100_000

/** The values of a dict that JSON could represent, without large ones. Nested dicts are followed to `depth`. */
function plainRecord(root: unknown): Record<string, unknown> {
  let left = maxValues
  const record = (value: unknown, depth: number): Record<string, unknown> => {
    const found = left > 0 ? entries(value).slice(0, left) : []
    left -= found.length
    const plain = found.map(([name, each]) => [name, plainValue(each, depth)] as const)
    return Object.fromEntries(plain.filter(([, each]) => each !== undefined))
  }
  const plainValue = (value: unknown, depth: number): unknown => {
    if (value === null || typeof value === 'boolean' || typeof value === 'number') return value
    if (typeof value === 'string') return value.length <= maxText ? value : undefined
    if (depth < 0) return undefined
    if (Array.isArray(value)) {
      const items = value.length <= 16 ? value.map((item) => plainValue(item, -1)) : [undefined]
      return items.includes(undefined) ? undefined : items
    }
    if (depth === 0 || left <= 0) return undefined
    const inner = record(value, depth - 1)
    return Object.keys(inner).length > 0 ? inner : undefined
  }
  return record(root, 2)
}
