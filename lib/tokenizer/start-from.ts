import { outOfRange } from '../errors.js'
import type { NativeState } from '../native/addon.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { readSafetensors } from '../weights/reader.js'
import { disposeState, toState } from '../weights/state.js'
import { fileWeights } from '../weights/tensors.js'
import { findTokenizer } from './folder.js'
import type { TokenizerConfig } from './schema.js'
import type { Tokenizer } from './tokenizer.js'

/** What decides the latents. */
const encoding = ({ decoder: _, ...rest }: TokenizerConfig): string => JSON.stringify(rest)

/**
 * Gives a tokenizer the averaged weights of another one. Learned positions are resampled where the images have another size.
 * @param folder - a model, a checkpoint or a run
 * @param options.sameLatents - refuse a tokenizer of which the encoder is configured otherwise
 * @throws {RangeError} a tokenizer that differs in more than its image size
 */
export async function startFrom(
  tokenizer: Tokenizer,
  folder: string,
  { sameLatents }: { sameLatents: boolean }
): Promise<void> {
  const { config } = tokenizer
  const from = await findTokenizer(folder)
  if (sameLatents && encoding(from.config) !== encoding(config)) {
    throw outOfRange('init', 'a tokenizer with the same encoder and latents', folder)
  }
  if (from.config.patchSize !== config.patchSize) {
    throw outOfRange('init', `a tokenizer with patches of ${config.patchSize} pixels`, from.config.patchSize)
  }
  const file = await readSafetensors(from.weights)
  let state: NativeState = {}
  try {
    state = await toState(fileWeights(file))
    await fitPositions(state, from.config, config)
    await native(tokenizer.native.load(state))
  } finally {
    disposeState(state)
    await file.close()
  }
}

async function fitPositions(state: NativeState, from: TokenizerConfig, to: TokenizerConfig): Promise<void> {
  const [old, wanted] = [from, to].map(({ imageSize, patchSize }): [number, number] => {
    const grid = imageSize / patchSize
    return [grid, grid]
  }) as [[number, number], [number, number]]
  if (old[0] === wanted[0]) return
  for (const part of ['encoder', 'decoder'] as const) {
    const name = `${part}.pos_embed`
    const positions = state[name]
    if (!positions) continue // rope replaces them in the decoder
    state[name] = await native(addon().resamplePositions(positions, to[part].cls ? 1 : 0, old, wanted))
    positions.dispose()
  }
}
