import { createHash } from 'node:crypto'
import type { Tokenizer } from '../tokenizer/tokenizer.js'
import { hashState } from '../weights/state.js'
import type { Generator } from './generator.js'

/** The models that samples come from. */
export interface SampledModels {
  generator: Generator
  tokenizer: Tokenizer
  weak?: Generator | undefined
}

/**
 * SHA-256 of models as they were loaded, equal on every machine. Their folders may hold others meanwhile, where a training writes its next
 * checkpoint.
 */
export async function hashModels({ generator, tokenizer, weak }: SampledModels): Promise<string> {
  const hash = createHash('sha256')
  for (const model of [generator, weak]) {
    hash.update(JSON.stringify(model?.identity ?? null))
    if (model) await hashState(hash, model.native.state())
  }
  hash.update(JSON.stringify(tokenizer.config))
  await hashState(hash, tokenizer.native.state())
  return hash.digest('hex')
}
