import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { describeOnStandIn } from '../support/stand-in.js'

const script = fileURLToPath(new URL('../../scripts/count-launches.mjs', import.meta.url))

/** A step's launches as scripts/count-launches.mjs reports them. */
function count(...options: string[]): { launches: number; replayed: number; synchronizations: object } {
  const done = spawnSync(process.execPath, [script, ...options, '--json'], { encoding: 'utf8' })
  expect({ status: done.status, stderr: done.stderr }).toEqual({ status: 0, stderr: '' })
  return JSON.parse(done.stdout)
}

describeOnStandIn('the launches of a step are counted', () => {
  test.each(['plain', 'full', 'sit'])('of the recipe %s, with and without graphs', (recipe) => {
    const eager = count(recipe, 'bf16')
    const replayed = count(recipe, 'bf16', '--graphs')
    expect(eager.synchronizations).toEqual({})
    expect(eager.launches).toBeGreaterThan(500)
    // A recorded step is the same work, but for its inputs and outputs.
    expect(Math.abs(replayed.replayed - eager.launches)).toBeLessThan(eager.launches / 10)
    expect(replayed.launches).toBeLessThan(eager.launches / 5)
  })
})
