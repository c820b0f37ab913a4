/** Draws from Gaussian posteriors, mean + exp(logvar / 2) · noise element by element, overwriting the means. */
export function samplePosterior(means: Float32Array, logvars: Float32Array, noise: Float32Array): void {
  for (let i = 0; i < means.length; i++) {
    means[i] = (means[i] as number) + Math.exp((logvars[i] as number) / 2) * (noise[i] as number)
  }
}
