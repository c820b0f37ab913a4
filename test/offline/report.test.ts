import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mactok-report-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

test('a report of the stand-in device does not claim to be of CUDA, as which its benches know it', async () => {
  // By its address: the bench, which it imports, has no types.
  const { writeReport } = await import(new URL('../../offline/report.mjs', import.meta.url).href)
  const bench = { rows: [], limits: {}, machine: { device: 'cuda', threads: 2 } }
  writeFileSync(join(folder, 'bench.json'), JSON.stringify(bench))
  writeReport({ folder, machine: { device: 'stand-in', driver: 'none' }, parts: [{ name: 'build' }] })
  const { machine } = JSON.parse(readFileSync(join(folder, 'gpu-report.json'), 'utf8'))
  expect(machine).toEqual({ device: 'stand-in', driver: 'none', threads: 2 })
  expect(readFileSync(join(folder, 'gpu-report.md'), 'utf8')).toContain('device stand-in')
})
