import type { z } from 'zod'
import { suggestion } from '../config.js'
import { outOfRange } from '../errors.js'
import type { architectureSchema } from './schema.js'

type ArchitectureInput = z.input<typeof architectureSchema>

const size = (width: number, depth: number, heads: number) => ({ width, depth, heads })
const lightning = (width: number, depth: number, heads: number) =>
  ({ model: 'lightning-dit', ...size(width, depth, heads) }) as const

/**
 * Networks by name. Latents and classes come from the shards, so that each fits every tokenizer. The tiny ones can be
 * trained on a CPU.
 */
export const generatorPresets = {
  'sit-tiny': size(128, 6, 4),
  'sit-s': size(384, 12, 6),
  'sit-b': size(768, 12, 12),
  'sit-l': size(1024, 24, 16),
  'sit-xl': size(1152, 28, 16),
  'lightningdit-tiny': lightning(128, 6, 4),
  'lightningdit-s': lightning(384, 12, 6),
  'lightningdit-b': lightning(768, 12, 12),
  'lightningdit-l': lightning(1024, 24, 16),
  'lightningdit-xl': lightning(1152, 28, 16),
  'lightningdit-1p0b': lightning(1536, 24, 24),
  'lightningdit-1p6b': lightning(1792, 28, 28)
} as const satisfies Record<string, ArchitectureInput>

export type GeneratorPreset = keyof typeof generatorPresets

/** @throws {RangeError} for an unknown preset, suggesting the closest name */
export function generatorPreset(name: string): GeneratorPreset {
  const names = Object.keys(generatorPresets)
  if (names.includes(name)) return name as GeneratorPreset
  throw outOfRange('preset', `one of ${names.join(', ')}${suggestion(name, names)}`, name)
}
