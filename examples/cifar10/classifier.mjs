// Names the class of a CIFAR-10 picture: a multinomial logistic regression on the features of a frozen DINOv2-small.

import { evaluationBatches } from '../../dist/data/evaluation-batches.js'
import { Teacher, tensor, webDataset } from '../../dist/index.js'

const classes = 10
const size = 32
/** Patches a side that the teacher sees: 84 pixels. */
const grid = 6

/** Pictures of tar files in batches of 100: a tensor uint8 [B, 32, 32, 3], valid until the next one is asked for, and their labels. */
export async function* pictures(pattern) {
  const set = await webDataset(pattern).open()
  try {
    for await (const { images, labels } of evaluationBatches(set, { size, batch: 100 })) {
      const batch = tensor(images, [labels.length, size, size, 3], { dtype: 'uint8' })
      yield { images: batch, labels }
      batch.dispose()
    }
  } finally {
    await set.close()
  }
}

export class Classifier {
  #teacher
  #mean
  #deviation
  /** A row of weights a class, the bias last. */
  #weights

  /** Trains on the pictures of tar files: they pass through the teacher once, their features many times. */
  static async train(pattern) {
    const classifier = new Classifier()
    classifier.#teacher = await Teacher.load('dinov2-small', { grid })
    const [rows, labels] = [[], []]
    for await (const batch of pictures(pattern)) {
      rows.push(...(await classifier.#features(batch.images)))
      labels.push(...batch.labels)
    }
    classifier.#measure(rows)
    classifier.#fit(
      rows.map((row) => classifier.#standardised(row)),
      labels
    )
    return classifier
  }

  /** The classes of pictures, uint8 [B, 32, 32, 3] or float32 [B, 3, 32, 32] in [-1, 1]. */
  async name(images) {
    const rows = await this.#features(images)
    return rows.map((row) => {
      const odds = this.#odds(this.#standardised(row))
      return odds.indexOf(Math.max(...odds))
    })
  }

  /** A row a picture: `cls`, and the mean of the patches. */
  async #features(images) {
    const { cls, patches } = await this.#teacher.features(images, { precision: 'bf16' })
    const [whole, local] = [await cls.data(), await patches.data()]
    const [count, width] = cls.shape
    for (const one of [cls, patches]) one.dispose()
    return Array.from({ length: count }, (_, picture) => {
      const row = new Float32Array(2 * width)
      row.set(whole.subarray(picture * width, (picture + 1) * width))
      for (let patch = 0; patch < grid ** 2; patch++) {
        const from = (picture * grid ** 2 + patch) * width
        for (let i = 0; i < width; i++) row[width + i] += local[from + i] / grid ** 2
      }
      return row
    })
  }

  #measure(rows) {
    const mean = (of) =>
      Float64Array.from(rows[0], (_, i) => rows.reduce((sum, row) => sum + of(row, i), 0) / rows.length)
    this.#mean = mean((row, i) => row[i])
    this.#deviation = mean((row, i) => (row[i] - this.#mean[i]) ** 2).map((variance) => Math.sqrt(variance) || 1)
  }

  #standardised(row) {
    return row.map((value, i) => (value - this.#mean[i]) / this.#deviation[i])
  }

  /** The probability of each class: softmax of the scores. */
  #odds(row) {
    const scores = this.#weights.map((weights) => {
      let score = weights[row.length]
      for (let i = 0; i < row.length; i++) score += weights[i] * row[i]
      return score
    })
    const highest = Math.max(...scores)
    const raised = scores.map((score) => Math.exp(score - highest))
    const sum = raised.reduce((total, value) => total + value, 0)
    return raised.map((value) => value / sum)
  }

  /** Gradient descent on the cross-entropy, picture by picture in a shuffled order, with a falling rate and weight decay. */
  #fit(rows, labels, { epochs = 10, rate = 1e-3, decay = 1e-3 } = {}) {
    this.#weights = Array.from({ length: classes }, () => new Float64Array(rows[0].length + 1))
    // Every order is a fixed one: steps of a prime through the rows.
    const strides = [7919, 104729, 1299709]
    for (let epoch = 0; epoch < epochs; epoch++) {
      const step = rate * (1 - epoch / epochs)
      for (let n = 0; n < rows.length; n++) {
        const at = (n * strides[epoch % strides.length]) % rows.length
        const row = rows[at]
        this.#odds(row).forEach((odds, label) => {
          const error = odds - (label === labels[at] ? 1 : 0)
          const weights = this.#weights[label]
          for (let i = 0; i < row.length; i++) weights[i] -= step * (error * row[i] + decay * weights[i])
          weights[row.length] -= step * error
        })
      }
    }
  }
}

/** Counts how often pictures of a class are taken for it. */
export class Score {
  #hits = new Array(classes).fill(0)
  #counts = new Array(classes).fill(0)

  add(labels, named) {
    labels.forEach((label, i) => {
      this.#counts[label]++
      if (named[i] === label) this.#hits[label]++
    })
  }

  /** Percent, of all and by class. */
  result() {
    const percent = (hits, count) => Math.round((1000 * hits) / count) / 10
    const sum = (values) => values.reduce((total, value) => total + value, 0)
    return {
      pictures: sum(this.#counts),
      total: percent(sum(this.#hits), sum(this.#counts)),
      perClass: this.#hits.map((hits, label) => percent(hits, this.#counts[label]))
    }
  }
}
