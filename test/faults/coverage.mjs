/** Which code an input runs, and how often: import this before the library. */

import { register } from 'node:module'

register('./coverage-hooks.mjs', import.meta.url)

/** @typedef {{ f: Record<string, number>, b: Record<string, number[]> }} FileCounters of functions and branches */

/** Tells inputs that do something new: a function or a branch that no input ran before, or ran about as often. */
export class Coverage {
  /** @type {number[]} */
  #seen = []

  /** Whether the code that ran since the last call did anything new; clears the counters. */
  takeNew() {
    let [isNew, place] = [false, 0]
    const count = (/** @type {Record<string, number>} */ counters) => {
      for (const key in counters) {
        const hits = Number(counters[key])
        if (hits > 0) {
          /** @type {any} */
          counters[key] = 0
          const bit = 1 << Math.min(8, Math.floor(Math.log2(hits)))
          const before = this.#seen[place] ?? 0
          if (!(before & bit)) {
            this.#seen[place] = before | bit
            isNew = true
          }
        }
        place++
      }
    }
    /** @type {FileCounters[]} */
    const files = Object.values(/** @type {any} */ (globalThis).__coverage__ ?? {})
    for (const { f, b } of files) {
      count(f)
      for (const key in b) count(/** @type {any} */ (b[key]))
    }
    return isNew
  }

  /** Functions and branches that ran. */
  get size() {
    return this.#seen.filter(Boolean).length
  }
}
