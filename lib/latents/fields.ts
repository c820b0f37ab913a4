import type { LatentPlan } from './manifest.js'

/** What a shard holds of each sample, besides its label. */
export type Field = 'latents' | 'latentsFlip' | 'logvar' | 'logvarFlip'

/** Names of the tensors in a shard. The first two are LightningDiT's, which ignores the others. */
export const tensorNames: Record<Field, string> = {
  latents: 'latents',
  latentsFlip: 'latents_flip',
  logvar: 'latents_logvar',
  logvarFlip: 'latents_flip_logvar'
}

/** The tensors in a plan's shards, besides the labels. */
export function fieldsOf({ flips = true, moments }: LatentPlan): Field[] {
  const fields: Field[] = ['latents']
  if (flips) fields.push('latentsFlip')
  if (moments) fields.push('logvar')
  if (flips && moments) fields.push('logvarFlip')
  return fields
}
