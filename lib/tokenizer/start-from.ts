import { outOfRange } from '../errors.js'
import type { NativeState } from '../native/addon.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { retryIfDeleted } from '../runs/model-folder.js'
import { readSafetensors } from '../weights/reader.js'
import { loadInto } from '../weights/state.js'
import { fileWeights } from '../weights/tensors.js'
import { findTokenizer } from './folder.js'
import type { TokenizerConfig } from './schema.js'
import type { Tokenizer } from './tokenizer.js'

/** Identifies the settings that the latents depend on. */
const encodingKey = ({ decoder: _, ...rest }: TokenizerConfig): string => JSON.stringify(rest)

/**
 * Loads the averaged weights of another tokenizer. Learned positions are resampled when the image sizes differ.
 * @param folder - a model, checkpoint or run folder
 * @param options.sameLatents - refuse a tokenizer whose encoder is configured differently
 * @throws {RangeError} for a tokenizer that differs in more than its image size
 */
export async function startFrom(
  tokenizer: Tokenizer,
  folder: string,
  { sameLatents }: { sameLatents: boolean }
): Promise<void> {
  // A training may be running in the folder.
  return retryIfDeleted(folder, () => loadFrom(tokenizer, folder, sameLatents))
}

async function loadFrom(tokenizer: Tokenizer, folder: string, sameLatents: boolean): Promise<void> {
  const { config } = tokenizer
  const from = await findTokenizer(folder, false, { verify: true })
  if (sameLatents && encodingKey(from.config) !== encodingKey(config)) {
    throw outOfRange('init', 'a tokenizer with the same encoder and latents', folder)
  }
  if (from.config.patchSize !== config.patchSize) {
    throw outOfRange('init', `a tokenizer with patches of ${config.patchSize} pixels`, from.config.patchSize)
  }
  await using file = await readSafetensors(from.weights)
  await loadInto(tokenizer.native, fileWeights(file), { fit: (state) => fitPositions(state, from.config, config) })
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
    // The decoder has none with RoPE.
    if (!positions) continue
    state[name] = await native(addon().resamplePositions(positions, to[part].cls ? 1 : 0, old, wanted))
    positions.dispose()
  }
}
