/** Opens files of weights of either kind: safetensors and checkpoints of `torch.save`. */

import { MactokError, outOfRange } from '../errors.js'
import { isWeightDtype } from './dtype.js'
import { PickleRecord } from './pickle.js'
import { readSafetensors } from './reader.js'
import { fileWeights, type Weights, type WeightTensor } from './tensors.js'
import { TorchFile } from './torch-reader.js'
import { TorchTensor } from './torch-tensor.js'

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

/** Decides by name, because deciding by content could read a gigabyte of a wrong file for nothing. */
export const isTorchFile = (path: string): boolean => /\.(pt|pth|ckpt|bin)$/i.test(path)

/** @throws {MactokError} `ERR_FORMAT` for damaged files and for checkpoints without tensors */
export async function openWeightsFile(path: string): Promise<WeightsFile> {
  if (isTorchFile(path)) return openTorchFile(path)
  const file = await readSafetensors(path)
  const close = () => file.close()
  try {
    const { metadata } = file
    const groups = new Map([['', fileWeights(file)]])
    return { path, groups, unsupported: [], record: {}, metadata, close, [Symbol.asyncDispose]: close }
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
    if (groups.size === 0) throw new MactokError('ERR_FORMAT', `${path} has no named tensors`)
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

/** Averaged weights come first, as everywhere. */
const preferred = ['ema', 'model_ema', 'ema_model', 'model', 'state_dict', '']

/**
 * Chooses a state dict: the requested one, or the first of the usual names. Prefixes of wrappers (`module.`,
 * `_orig_mod.`) are removed.
 */
export function chooseGroup(
  { path, groups }: WeightsFile,
  requested?: string | null
): { group: string; weights: Weights } {
  const names = [...groups.keys()]
  const group = requested ?? preferred.find((name) => groups.has(name)) ?? (names[0] as string)
  const weights = groups.get(group)
  if (!weights) throw outOfRange('group', `one of ${names.join(', ')} of ${path}`, group)
  return { group, weights: removePrefixes(weights) }
}

function removePrefixes(weights: Weights): Weights {
  const prefix = ['module.', '_orig_mod.'].find((each) => [...weights.keys()].every((name) => name.startsWith(each)))
  if (prefix === undefined || weights.size === 0) return weights
  return removePrefixes(
    new Map([...weights].map(([name, tensor]): [string, WeightTensor] => [name.slice(prefix.length), tensor]))
  )
}
