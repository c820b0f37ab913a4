// The parts of a report. Each runs alone, in a process of its own.
import { cases } from '../bench/cases.mjs'

/** The folders of test/ that compute, and what they stand on. */
export const SUITES = [
  ...['native', 'tensor', 'tokenizer', 'teacher', 'generator', 'training', 'evaluation', 'latents', 'pipeline', 'device'],
  ...['weights', 'interchange', 'runs', 'data', 'files']
]

/** @typedef {{ name: string, kind: 'build' | 'tests' | 'launches' | 'bench', suite?: string, case?: string, size?: string }} Part */

/**
 * In the order in which they run: what others need first, then what is worth most.
 * @param {{ device: string, suites: string[] }} options
 * @returns {Part[]}
 */
export function partsOf({ device, suites }) {
  const onGpu = device.startsWith('cuda')
  const benches = ['tokenizer', 'tokenizer-full', 'before-disc', 'sit', 'sampling', 'encode'].flatMap((name) =>
    Object.entries(cases[name].sizes)
      .filter(([size, shape]) => size === 'tiny' || (onGpu && shape.device === 'cuda'))
      .map(([size]) => ({ name: `bench ${name} ${size}`, kind: /** @type {const} */ ('bench'), case: name, size }))
  )
  return [
    { name: 'build', kind: 'build' },
    ...suites.map((suite) => ({ name: `tests ${suite}`, kind: /** @type {const} */ ('tests'), suite })),
    { name: 'launches', kind: 'launches' },
    ...benches
  ]
}

/**
 * The parts that were named: `bench` is all benches, `bench sit` those of SiT.
 * @param {Part[]} parts
 * @param {string} wanted
 */
export const select = (parts, wanted) =>
  parts.filter(({ name }) => !wanted || name === wanted || name.startsWith(`${wanted} `))

/**
 * What is left to run of the chosen parts, in its order. A part that passed runs again only where `wanted` is exactly its name. Parts that
 * did not pass come after those that never ran, so that one that takes too long every time leaves time for the others.
 * @param {Part[]} chosen
 * @param {string} wanted
 * @param {(name: string) => string | undefined} outcomeOf
 */
export function remaining(chosen, wanted, outcomeOf) {
  /** @param {Part} part */
  const turn = ({ name, kind }) => (kind === 'build' || outcomeOf(name) === undefined ? 0 : 1)
  return chosen
    .filter(({ name }) => name === wanted || outcomeOf(name) !== 'passed')
    .toSorted((a, b) => turn(a) - turn(b))
}
