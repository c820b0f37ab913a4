import type { NativeGeneratorConfig } from '../native/addon.js'
import type { GeneratorConfig } from './schema.js'

/** The complete configuration for C++. `checkpointing` recomputes blocks in the backward pass to save memory. */
export const nativeGeneratorConfig = (
  { flow: _, ...network }: GeneratorConfig,
  checkpointing = false
): NativeGeneratorConfig => ({ ...network, checkpointing })
