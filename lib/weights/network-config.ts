import { stat } from 'node:fs/promises'
import type { z } from 'zod'
import { parseConfig } from '../config.js'
import { MactokError } from '../errors.js'
import { openWeightsFile } from './weights-file.js'

/**
 * Validates the sizes that a model's `config.json` has under its kind of model.
 * @param files - the content of `config.json`, its path, and that of the weights
 * @param leastParameters - a lower bound on the network's parameters
 * @throws {MactokError} ERR_FORMAT naming the file and its field, and for sizes of which the weights hold too few parameters
 */
export async function readNetworkConfig<S extends z.core.$ZodType>(
  { config, file, weights }: { config: Record<string, unknown>; file: string; weights: string },
  kind: string,
  schema: S,
  leastParameters: (config: z.output<S>) => number
): Promise<z.output<S>> {
  let network: z.output<S>
  try {
    network = parseConfig(schema, config[kind], kind)
  } catch (cause) {
    throw new MactokError('ERR_FORMAT', `${file}: ${(cause as Error).message}`, { cause })
  }
  // A parameter takes a byte or more; so a network that its weights do not fit is never allocated.
  const [least, { size }] = [leastParameters(network), await stat(weights)]
  if (least > size) {
    // What is no file of weights at all says so itself.
    await (await openWeightsFile(weights)).close()
    const expected = `${file}: expected sizes of the network in ${weights}, which has ${size} bytes`
    throw new MactokError('ERR_FORMAT', `${expected}, but received sizes that make ${least} parameters or more`)
  }
  return network
}
