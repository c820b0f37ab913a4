/** When a side has warmed up, which measurements are marked as unsteady, and what a goal may claim. */

import { best, median, quantile } from './statistics.mjs'

/** The largest difference of a side's last two warm-up rounds, and its largest spread, relative to its median. */
const [AGREEMENT, SPREAD] = [0.05, 0.1]

/** Whether the last two rounds agree. @param {number[]} seconds */
export function hasSettled(seconds) {
  const [before, last] = seconds.slice(-2)
  return last !== undefined && Math.abs(last - before) <= AGREEMENT * Math.min(last, before)
}

/**
 * A side's figures. The spread is the quartiles' distance, of fewer than five measurements their whole range. `mark` says why the
 * median is not to be relied on.
 * @param {number[]} seconds
 * @param {boolean} [settled] whether its warm-up ended with two rounds that agree
 */
export function summarize(seconds, settled = true) {
  const middle = median(seconds)
  const fastest = Math.min(...seconds)
  const spread = seconds.length < 5 ? Math.max(...seconds) - fastest : quantile(seconds, 0.75) - quantile(seconds, 0.25)
  const share = spread / middle
  const marks = [
    seconds.length < 2 && 'measured once',
    !settled && 'still warming up',
    share > SPREAD && `spread ${Math.round(share * 100)} %`
  ].filter(Boolean)
  return { median: middle, spread, fastest, count: seconds.length, mark: marks.join(', ') }
}

/**
 * Whether we are `goal` times as fast as the best of the peer's variants. A marked side never meets a goal, and a marked variant
 * that was once fast enough to decide otherwise leaves it open.
 * @typedef {{ name: string, median: number, fastest: number, mark: string }} Side
 * @param {Side} ours
 * @param {Side[]} others
 * @param {number} goal
 * @param {boolean} [isComplete] whether every variant was measured: one that was not may be the best
 * @returns {'met' | 'missed' | 'unsteady'}
 */
export function judgeRatio(ours, others, goal, isComplete = true) {
  const shown = best(others)
  if (!shown || shown.median / ours.median < goal) return 'missed'
  const bound = (/** @type {Side} */ side) => (side.mark ? side.fastest : side.median)
  const decisive = others.reduce((a, b) => (bound(b) < bound(a) ? b : a))
  return ours.mark || shown.mark || decisive.mark || !isComplete ? 'unsteady' : 'met'
}

/** The same for a goal of ours alone. @param {Side} ours @param {boolean} reached @returns {'met' | 'missed' | 'unsteady'} */
export function judgeAlone(ours, reached) {
  if (!reached) return 'missed'
  return ours.mark ? 'unsteady' : 'met'
}
