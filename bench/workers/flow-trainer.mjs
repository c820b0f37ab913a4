/** A generator's trainer as `trainGenerator` makes it. */

import { addon } from '../../dist/native/load.js'

/** @param {any} generator @param {any} ema @param {{ precision: any, graphs: boolean, group?: any }} options */
export const createFlowTrainer = (generator, ema, { precision, graphs, group = null }) =>
  addon().createFlowTrainer(generator.native, ema.native, {
    seed: 0,
    precision,
    graphs,
    group: group?.native ?? null,
    sharded: group?.sharded ?? false,
    flow: generator.config.flow,
    labelDropout: 0.1,
    loss: { weighting: 'none', direction: 0 },
    timesteps: { kind: 'uniform', mean: 0, deviation: 1, shift: 1 },
    optimizer: { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, clipNorm: 1 },
    ema: { decay: 0.9999, warmup: true }
  })
