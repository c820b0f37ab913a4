/** Chooses a state dict of a checkpoint, and removes what training wrappers add to its names. */

import { outOfRange } from '../errors.js'
import type { Weights, WeightTensor } from './tensors.js'

/** Averaged weights come first, as everywhere; DINOv2's teacher is an average of its student. */
const averaged = ['ema', 'model_ema', 'ema_model', 'state_dict_ema', 'ema_state_dict', 'params_ema', 'teacher']
const preferred = [...averaged, 'model', 'state_dict', '']

/** The state dicts of a file, by their key in it. */
interface StateDicts {
  path: string
  groups: ReadonlyMap<string, Weights>
}

export interface ChosenWeights {
  group: string
  weights: Weights
  /** Tensors outside the network: counters, heads, the student beside a teacher. */
  dropped: string[]
  /** What was chosen where there was a choice. */
  notes: string[]
}

/**
 * Chooses a state dict: the requested one, or the first of the usual names. Prefixes of wrappers (`module.`,
 * `_orig_mod.`) are removed; of a DINO checkpoint with heads, the teacher's backbone is taken.
 */
export function chooseGroup({ path, groups }: StateDicts, requested?: string | null): ChosenWeights {
  const names = [...groups.keys()]
  const group = requested ?? preferred.find((name) => groups.has(name)) ?? (names[0] as string)
  const chosen = groups.get(group)
  if (!chosen) throw outOfRange('group', `one of ${names.join(', ')} of ${path}`, group)
  const notes: string[] = []
  if (names.length > 1 && requested == null) {
    const others = names.filter((name) => name !== group).map((name) => name || 'the tensors beside it')
    const kind = averaged.includes(group) ? ', the averaged weights,' : ''
    notes.push(`read ${group || 'its own tensors'}${kind} and not ${others.join(', ')}: --group chooses`)
  }
  return { group, ...unwrap(chosen, [], notes) }
}

/** Prefixes that all names of a wrapped network have. */
const wrappers = ['module.', '_orig_mod.']
/** Prefixes of the network in a checkpoint of DINO's own training, which has heads and perhaps the student as well. */
const backbones = ['teacher.backbone.', 'backbone.']
/** The counter of torch's AveragedModel, beside `module.` */
const averageCounter = 'n_averaged'

function unwrap(weights: Weights, dropped: string[], notes: string[]): Omit<ChosenWeights, 'group'> {
  const names = [...weights.keys()]
  const backbone = backbones.find((prefix) => weights.has(`${prefix}cls_token`))
  if (backbone) {
    const heads = names.filter((name) => !name.startsWith(backbone))
    notes.push(`read ${backbone}*, without heads`)
    return unwrap(strip(weights, backbone), [...dropped, ...heads], notes)
  }
  const isOwn = (name: string) => name !== averageCounter
  const prefix = wrappers.find(
    (each) => names.some(isOwn) && names.filter(isOwn).every((name) => name.startsWith(each))
  )
  if (prefix === undefined) return { weights, dropped, notes }
  if (!weights.has(averageCounter)) return unwrap(strip(weights, prefix), dropped, notes)
  notes.push("its weights are averaged (torch's AveragedModel)")
  return unwrap(strip(weights, prefix), [...dropped, averageCounter], notes)
}

/** The tensors under a prefix, without it. */
const strip = (weights: Weights, prefix: string): Weights =>
  new Map(
    [...weights]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]): [string, WeightTensor] => [name.slice(prefix.length), tensor])
  )
