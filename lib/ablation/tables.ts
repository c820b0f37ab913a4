/** The rows of the paper's tables 4 and 5, and of a comparison of remedies for posterior collapse. */

import { text } from '../checks.js'
import { outOfRange } from '../errors.js'
import type { TrainingConfigInput } from '../training/tokenizer/schema.js'

/** One row: what it changes in the full recipe. */
export interface Arm {
  name: string
  label: string
  settings: (steps: number) => TrainingConfigInput
  /** Fine-tunes the decoder of this row's runs instead of training from the start. */
  from?: string
  /** What the paper reports, at its scale. */
  paper?: string
  /** In a sweep: name and label of the table's row, and the value of the swept setting. */
  swept?: { name: string; label: string; value: number }
}

const aligned = (local: boolean, global: boolean) => ({ local, global })
const unmasked = { masking: { target: 'none' }, align: aligned(false, false) } as const
const full = { masking: { target: 'image', semantic: 0.5 }, align: aligned(true, true) } as const

const arm = (
  name: string,
  label: string,
  settings: TrainingConfigInput,
  rest: Pick<Arm, 'from' | 'paper'> = {}
): Arm => ({ name, label, settings: () => settings, ...rest })

const plain = arm('plain', 'plain KL', unmasked)
const latent = arm('latent-masking', 'latent-token masking', {
  masking: { target: 'latent', semantic: 0 },
  align: aligned(false, false)
})

const withRatio = (max: number, paper?: string) =>
  arm(
    `ratio-${max}`,
    `M = ${max}`,
    { ...full, masking: { ...full.masking, max } },
    paper === undefined ? {} : { paper }
  )

export const ablationTables = {
  components: [
    plain,
    arm(
      'random',
      '+ random masking',
      { masking: { target: 'image', semantic: 0 }, align: aligned(false, false) },
      {
        paper: 'rFID .58, gFID 6.01'
      }
    ),
    arm(
      'local',
      '+ local alignment',
      { masking: { target: 'image', semantic: 0 }, align: aligned(true, false) },
      {
        paper: 'rFID .44, gFID 3.53'
      }
    ),
    arm(
      'semantic',
      '+ semantic masking',
      { masking: { target: 'image', semantic: 0.5 }, align: aligned(true, false) },
      {
        paper: 'rFID .43, gFID 3.32'
      }
    ),
    arm('global', '+ global alignment', full, { paper: 'rFID .43, gFID 3.15' })
  ],
  'mask-ratio': [withRatio(0.4), withRatio(0.5), withRatio(0.6), withRatio(0.7, 'the best'), withRatio(0.8)],
  'masking-target': [
    plain,
    latent,
    arm('image-random', 'image, random', { ...full, masking: { target: 'image', semantic: 0 } }),
    arm('image-both', 'image, half semantic', full, { paper: 'gFID 13.95 (dino 50 %)' }),
    arm(
      'image-semantic',
      'image, all semantic',
      { ...full, masking: { target: 'image', semantic: 1 } },
      {
        paper: 'gFID 14.84 (dino 100 %)'
      }
    )
  ],
  'decoder-finetuning': [
    arm('trained', 'trained with masks', full, { paper: 'rFID .57' }),
    arm('fine-tuned', '+ decoder fine-tuning', {}, { from: 'trained', paper: 'rFID .43' })
  ],
  collapse: [
    plain,
    {
      name: 'annealing',
      label: 'KL annealing',
      settings: (steps) => ({ ...unmasked, loss: { klAnneal: { kind: 'linear', steps: Math.ceil(steps / 2) } } })
    },
    latent,
    arm('mactok', 'image masking + alignment', full),
    // Parts of the recipe alone, to see which one prevents the collapse.
    arm('random-masking', 'random image masking alone', {
      masking: { target: 'image', semantic: 0 },
      align: aligned(false, false)
    }),
    arm('image-masking', 'image masking alone, half semantic', {
      masking: { target: 'image', semantic: 0.5 },
      align: aligned(false, false)
    }),
    arm('alignment', 'alignment alone', { masking: { target: 'none' }, align: aligned(true, true) })
  ]
} as const satisfies Record<string, readonly Arm[]>

export type AblationTable = keyof typeof ablationTables

/**
 * The rows of a table: all, or the named ones with those that they start from.
 * @throws {RangeError} unknown names
 */
export function armsOf(table: string, names?: readonly string[]): Arm[] {
  text('table', 'the name of a table', table)
  const tables: Record<string, readonly Arm[]> = ablationTables
  const all = Object.hasOwn(tables, table) ? tables[table] : undefined
  if (!all) throw outOfRange('table', `one of ${Object.keys(tables).join(', ')}`, table)
  if (!names) return [...all]
  for (const name of names) {
    if (!all.some((one) => one.name === name)) {
      throw outOfRange('arms', `some of ${all.map((one) => one.name).join(', ')}`, name)
    }
  }
  const origins = all.filter((one) => names.includes(one.name)).flatMap(({ from }) => from ?? [])
  return all.filter(({ name }) => names.includes(name) || origins.includes(name))
}

const sweptName = (name: string, value: number) => `${name}@${value}`

/** Repeats every row for each value of a swept setting: `plain@0.001` is the row `plain` with the value .001. */
export function sweepArms(
  arms: readonly Arm[],
  { setting, values }: { setting: string; values: readonly number[] }
): Arm[] {
  return arms.flatMap((row) =>
    values.map((value): Arm => {
      const { name, label, from } = row
      return {
        ...row,
        name: sweptName(name, value),
        label: `${label}, ${setting} ${value}`,
        ...(from !== undefined && { from: sweptName(from, value) }),
        swept: { name, label, value }
      }
    })
  )
}
