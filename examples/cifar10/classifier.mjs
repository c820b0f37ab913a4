// Classifies CIFAR-10 images: multinomial logistic regression on the features of a frozen DINOv2-small.

import { evaluationBatches } from '../../dist/data/evaluation-batches.js'
import { fitProbe } from '../../dist/evaluation/probe.js'
import { Generator, Teacher, tensor, webDataset } from '../../dist/index.js'
import { bestPrecision } from '../../dist/native/device.js'

export const classes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
const size = 32
/** Patches per side of what the teacher sees: 56 pixels. */
const grid = 4
/** Radii of blur: it also trains on blurred images, because what a small tokenizer decodes is never sharp. */
const radii = [1, 2]

/**
 * Reads the images of tar files in batches of 100: uint8 [B, 32, 32, 3], valid until the next batch, and their labels.
 * @param {string} pattern
 * @param {(images: any, number?: number) => any} [change] maps the bytes of each batch, given its number
 */
export async function* readImages(pattern, change = (images) => images) {
  const set = await webDataset(pattern).open()
  let number = 0
  try {
    for await (const { images, labels } of evaluationBatches(set, { size, batch: 100 })) {
      const batch = tensor(change(images, number++), [labels.length, size, size, 3], { dtype: 'uint8' })
      yield { images: batch, labels }
      batch.dispose()
    }
  } finally {
    await set.close()
  }
}

/** Box blur of 2 · radius + 1 along rows and columns, twice, which is close to a Gaussian; narrower at the borders. */
function blur(images, radius) {
  let from = images
  for (const stride of [3, 3 * size, 3, 3 * size]) {
    const to = new Uint8Array(from.length)
    for (let at = 0; at < from.length; at++) {
      const place = Math.floor(at / stride) % size
      const [first, last] = [Math.max(-radius, -place), Math.min(radius, size - 1 - place)]
      let sum = 0
      for (let offset = first; offset <= last; offset++) sum += from[at + offset * stride]
      to[at] = Math.round(sum / (last - first + 1))
    }
    from = to
  }
  return from
}

export class Classifier {
  #teacher
  #mean
  #deviation
  /** [classes, D] and [classes] */
  #weight
  #bias

  /** Trains on the images of tar files, both sharp and blurred. */
  static async train(pattern) {
    const classifier = new Classifier()
    classifier.#teacher = await Teacher.load('dinov2-small', { grid })
    const [rows, labels] = [[], []]
    const blurBatch = (images, number) => blur(images, radii[number % radii.length])
    for (const change of [undefined, blurBatch]) {
      for await (const batch of readImages(pattern, change)) {
        rows.push(...(await classifier.#features(batch.images)))
        labels.push(...batch.labels)
      }
    }
    classifier.#fitStandardization(rows)
    const features = new Float32Array(rows.length * rows[0].length)
    for (const [i, row] of rows.entries()) features.set(classifier.#standardize(row), i * row.length)
    const training = { features, labels: Int32Array.from(labels) }
    const { weight, bias } = await fitProbe(training, training, { l2: 1e-2, iterations: 100 })
    classifier.#weight = weight
    classifier.#bias = bias
    return classifier
  }

  /** Predicts the classes of images, uint8 [B, 32, 32, 3] or float32 [B, 3, 32, 32] in [-1, 1]. */
  async classify(images) {
    const rows = await this.#features(images)
    return rows.map((row) => {
      const x = this.#standardize(row)
      const scores = Array.from(this.#bias, (bias, label) =>
        x.reduce((sum, value, i) => sum + value * this.#weight[label * x.length + i], bias)
      )
      return scores.indexOf(Math.max(...scores))
    })
  }

  /** One row per image: `cls`, and the mean of the patches. */
  async #features(images) {
    const { cls, patches } = await this.#teacher.features(images, { precision: bestPrecision(this.#teacher.device) })
    const [whole, local] = [await cls.data(), await patches.data()]
    const [count, width] = cls.shape
    for (const one of [cls, patches]) one.dispose()
    return Array.from({ length: count }, (_, image) => {
      const row = new Float32Array(2 * width)
      row.set(whole.subarray(image * width, (image + 1) * width))
      for (let patch = 0; patch < grid ** 2; patch++) {
        const from = (image * grid ** 2 + patch) * width
        for (let i = 0; i < width; i++) row[width + i] += local[from + i] / grid ** 2
      }
      return row
    })
  }

  #fitStandardization(rows) {
    const mean = (of) =>
      Float64Array.from(rows[0], (_, i) => rows.reduce((sum, row) => sum + of(row, i), 0) / rows.length)
    this.#mean = mean((row, i) => row[i])
    this.#deviation = mean((row, i) => (row[i] - this.#mean[i]) ** 2).map((variance) => Math.sqrt(variance) || 1)
  }

  #standardize(row) {
    return row.map((value, i) => (value - this.#mean[i]) / this.#deviation[i])
  }
}

/** Accuracy, overall and per class. */
export class Score {
  #hits = classes.map(() => 0)
  #counts = classes.map(() => 0)

  add(labels, predicted) {
    labels.forEach((label, i) => {
      this.#counts[label]++
      if (predicted[i] === label) this.#hits[label]++
    })
  }

  /** In percent. */
  result() {
    const percent = (hits, count) => Math.round((1000 * hits) / count) / 10
    const sum = (values) => values.reduce((total, value) => total + value, 0)
    return {
      images: sum(this.#counts),
      total: percent(sum(this.#hits), sum(this.#counts)),
      perClass: this.#hits.map((hits, label) => percent(hits, this.#counts[label]))
    }
  }
}

/**
 * Accuracy on samples of a generator, drawn from the classes in turn by 20 Euler steps.
 * @param {Classifier} classifier
 * @param {string} folder the generator's
 * @param {import('../../dist/index.js').Tokenizer} tokenizer
 * @param {{ count: number, guidance: number }} options how many samples, and the scale of the guidance
 */
export async function scoreSamples(classifier, folder, tokenizer, { count, guidance }) {
  const generator = await Generator.load(folder)
  const score = new Score()
  for (let firstIndex = 0; firstIndex < count; firstIndex += 100) {
    const drawn = await generator.sample({
      classes,
      count: Math.min(100, count - firstIndex),
      firstIndex,
      tokenizer,
      steps: 20,
      guidance,
      precision: bestPrecision(generator.device)
    })
    score.add(drawn.labels, await classifier.classify(drawn.images))
    for (const one of [drawn.latents, drawn.images]) one.dispose()
  }
  generator.dispose()
  return score.result()
}
