import type { NativeGenerator } from '../native/addon.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { requireHostMemory } from '../native/memory.js'
import { nativeGeneratorConfig } from './native-config.js'
import { type GeneratorConfig, leastGeneratorParameters } from './schema.js'

/**
 * A generator's network with initial weights.
 * @param seed - of the weights; null: arbitrary ones, to be loaded
 * @throws {MactokError} ERR_OUT_OF_MEMORY when this machine cannot hold them
 */
export async function createNetwork(
  config: GeneratorConfig,
  { device, seed, checkpointing = false }: { device: string; seed: number | null; checkpointing?: boolean }
): Promise<NativeGenerator> {
  // They are made on the CPU, whatever the device.
  requireHostMemory('The weights of this generator', 4 * leastGeneratorParameters(config), 'lower its sizes')
  return native(addon().createGenerator(nativeGeneratorConfig(config, checkpointing), device, seed))
}
