import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { Workplace } from '../support/images.js'

const place = new Workplace()

function run(script: string, args: string[]) {
  const file = fileURLToPath(new URL(`../../bench/${script}`, import.meta.url))
  const { status, stderr } = spawnSync(process.execPath, [file, ...args], { encoding: 'utf8', timeout: 60_000 })
  return { status, stderr }
}

test('a bench without weights says how to get them', () => {
  const nowhere = place.path('nowhere')
  const only = ['--case', 'tokenizer', '--size', 'tiny', '--alone']
  expect(run('run.mjs', [...only, '--weights', nowhere])).toEqual({
    status: 1,
    stderr: expect.stringMatching(
      new RegExp(
        `There is no folder ${nowhere} for --weights\\n {2}- --weights <folder> .*\\n {2}- --make-inputs makes it`
      )
    )
  })
})

test('the bench of growth looks for its tars before anything is measured', () => {
  const args = ['--data', place.path('nowhere'), '--python', place.path('no-python'), '--out', place.path('growth')]
  expect(run('growth.mjs', args)).toEqual({
    status: 1,
    stderr: `mactok: There is no train-*.tar in ${place.path('nowhere')} for --data\n  - --data <folder> names another\n`
  })
})
