import type { NativeTokenizer } from '../native/addon.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { requireHostMemory } from '../native/memory.js'
import { nativeTokenizerConfig } from './native-config.js'
import { leastTokenizerParameters, type TokenizerConfig } from './schema.js'

/**
 * A tokenizer's network with initial weights.
 * @param seed - of the weights; null: arbitrary ones, to be loaded
 * @throws {MactokError} ERR_OUT_OF_MEMORY when this machine cannot hold them
 */
export async function createNetwork(
  config: TokenizerConfig,
  { device, seed, checkpointing = false }: { device: string; seed: number | null; checkpointing?: boolean }
): Promise<NativeTokenizer> {
  // They are made on the CPU, whatever the device.
  requireHostMemory('The weights of this tokenizer', 4 * leastTokenizerParameters(config), 'lower its sizes')
  return native(addon().createTokenizer(nativeTokenizerConfig(config, checkpointing), device, seed))
}
