/**
 * The Inception score, exp of the mean divergence of predictions from their mean, over splits of consecutive images as in ADM's
 * evaluator (splits of 5,000, the last one shorter). Accumulated batch by batch in double precision.
 */
export class InceptionScore {
  readonly #classes: number
  readonly #split: number
  /** Per split: images, the sum of p log p, and the sum of p by class. */
  readonly #sums: Float64Array[] = []

  constructor(classes: number, split = 5_000) {
    this.#classes = classes
    this.#split = split
  }

  /** probabilities: [B, classes] */
  add(probabilities: Float32Array): void {
    const classes = this.#classes
    for (let at = 0; at < probabilities.length; at += classes) {
      let sums = this.#sums.at(-1)
      if (!sums || sums[0] === this.#split) {
        sums = new Float64Array(2 + classes)
        this.#sums.push(sums)
      }
      sums[0] = (sums[0] as number) + 1
      for (let i = 0; i < classes; i++) {
        const p = probabilities[at + i] as number
        if (p > 0) sums[1] = (sums[1] as number) + p * Math.log(p)
        sums[2 + i] = (sums[2 + i] as number) + p
      }
    }
  }

  /** The mean over splits; NaN before the first image. */
  result(): number {
    const scores = this.#sums.map((sums) => {
      const [count, own] = [sums[0] as number, sums[1] as number]
      const together = sums
        .subarray(2)
        .reduce((sum, total) => sum + (total > 0 ? total * Math.log(total / count) : 0), 0)
      return Math.exp((own - together) / count)
    })
    return scores.reduce((sum, score) => sum + score, 0) / scores.length
  }

  /** [splits, 2 + classes], for `load`. */
  state(): { shape: number[]; data: Float64Array } {
    const width = 2 + this.#classes
    const data = new Float64Array(this.#sums.length * width)
    for (const [i, sums] of this.#sums.entries()) data.set(sums, i * width)
    return { shape: [this.#sums.length, width], data }
  }

  load(data: Float64Array): void {
    const width = 2 + this.#classes
    this.#sums.length = 0
    for (let at = 0; at < data.length; at += width) this.#sums.push(data.slice(at, at + width))
  }
}
