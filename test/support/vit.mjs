// The settings of a vision transformer that tests share, also with processes that they start.

/** Everything but width, depth and heads. */
export const vitDefaults = {
  mlpRatio: 4,
  mlp: /** @type {const} */ ('gelu'),
  layerScale: 1,
  cls: true,
  registers: 0,
  positions: /** @type {const} */ ('learned'),
  ropeTheta: 10,
  normEps: 1e-6
}
