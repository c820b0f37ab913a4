import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { Workplace } from '../support/images.js'

const place = new Workplace()
const script = fileURLToPath(new URL('../../scripts/check-encode.mjs', import.meta.url))

test('the check of ranks that encode ends with the first rank that fails', () => {
  const nowhere = place.path('nowhere')
  const env = { ...process.env, MACTOK_ADDON: undefined }
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, nowhere], {
    env,
    encoding: 'utf8',
    timeout: 60_000
  })
  expect([status, stdout]).toEqual([1, expect.stringMatching(/^1 rank\(s\): ended with 1 after \S+ s\n$/)])
  expect(stderr).toContain(nowhere)
  expect(stderr).toContain('mactok: Expected the ranks to end with 0\n')
})
