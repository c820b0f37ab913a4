import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { Workplace } from '../support/images.js'
import { runJob } from './support.js'

const place = new Workplace()
const worker = fileURLToPath(new URL('faulty-worker.mjs', import.meta.url))

/** Faults whose tests wait for the timeout, and then for the launcher to end the rank. */
const silent = ['stop', 'hang', 'missing', 'delay']

/** Runs ranks of which one has a fault. */
function runFaulty(fault: string, faulty: number, ranks = 2, options: Parameters<typeof runJob>[2] = {}) {
  process.env.FAULT = fault
  process.env.FAULTY = String(faulty)
  process.env.TIMEOUT = silent.includes(fault) ? '10' : '60'
  return runJob([worker], ranks, { patience: silent.includes(fault) ? 3000 : 60_000, ...options })
}

describe('a job ends with an error that names the rank', () => {
  test('that is killed', async () => {
    const { code, failed, lines } = await runFaulty('kill', 1, 3)
    expect({ code, rank: failed?.rank, last: failed?.lines.at(-1) }).toEqual({
      code: 137,
      rank: 1,
      last: 'ended by SIGKILL'
    })
    expect(lines[2]?.at(-1)).toMatch(/rank 1 \(.+, process \d+\) is lost/)
  })

  test('that is killed with the store that it holds', async () => {
    const { code, failed, lines } = await runFaulty('kill', 0)
    expect({ code, rank: failed?.rank }).toEqual({ code: 137, rank: 0 })
    expect(lines[1]?.at(-1)).toMatch(/the store of rank 0 at|rank 0 .* is lost/)
  })

  test('that is stopped', async () => {
    const { lines } = await runFaulty('stop', 1)
    expect(lines[0]?.at(-1)).toMatch(/rank 1 \(.+\) is lost: it has been silent for [\d.]+ s/)
  })

  test('that the others wait for in vain', async () => {
    const { lines } = await runFaulty('hang', 1)
    expect(lines[0]?.at(-1)).toMatch(/rank 1 \(.+\) is stuck: the others have waited for it for 10 s/)
  })

  test('that never comes', async () => {
    const { lines } = await runFaulty('missing', 1)
    expect(lines[0]?.at(-1)).toMatch(/error: Rank 1 of 2 did not join within 10 s at the store of rank 0/)
  })

  test('whose port is in use', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((listening) => server.once('listening', listening))
    const { port } = server.address() as { port: number }
    // Rank 1 keeps looking for the store.
    const { failed } = await runFaulty('none', 0, 2, { rdzv: `127.0.0.1:${port}`, patience: 3000 })
    server.close()
    expect(failed?.rank).toBe(0)
    expect(failed?.lines.at(-1)).toMatch(new RegExp(`Rank 0 cannot listen on 127.0.0.1:${port}`))
  })
})

test('a job whose rank failed says so on all ranks, and starts again', async () => {
  const notices: string[] = []
  const onNotice = (message: string) => notices.push(message)
  const { code, lines } = await runFaulty('throw', 1, 2, { restarts: 1, onNotice })
  expect(code).toBe(0)
  expect(notices).toEqual(['rank 1 failed (error: no space left on device); restart 1 of 1'])
  const [first, second] = lines as [string[], string[]]
  expect(first[0]).toMatch(/^error: The job has failed: rank 1 \(.+\) failed: no space left on device$/)
  expect(second[0]).toBe('error: no space left on device')
  expect([first[1], second[1]]).toEqual(['rank 0 met the others', 'rank 1 met the others'])
})

test('a rank that comes late or is busy only delays the job', async () => {
  const { code, lines } = await runFaulty('delay', 1)
  expect({ code, lines }).toEqual({ code: 0, lines: [['rank 0 met the others'], ['rank 1 met the others']] })
})

describe('ranks that meet at a file', () => {
  const at = (name: string) => `file://${place.path(name)}`

  test('need no port, and remove it at the end', async () => {
    const { code, lines } = await runFaulty('none', 0, 3, { rdzv: at('shared') })
    expect({ code, lines }).toEqual({ code: 0, lines: [0, 1, 2].map((rank) => [`rank ${rank} met the others`]) })
    expect(existsSync(place.path('shared.0.0'))).toBe(false)
  })

  test('name a rank that is killed, and one that fails, and start again', async () => {
    const killed = await runFaulty('kill', 1, 2, { rdzv: at('killed') })
    expect(killed.failed?.rank).toBe(1)
    expect(killed.lines[0]?.at(-1)).toMatch(/rank 1 \(.+, process \d+\) is lost/)
    const { code, lines } = await runFaulty('throw', 1, 2, { rdzv: at('failed'), restarts: 1 })
    expect({ code, last: lines.map((rank) => rank.at(-1)) }).toEqual({
      code: 0,
      last: ['rank 0 met the others', 'rank 1 met the others']
    })
    expect(lines[0]?.[0]).toMatch(/^error: The job has failed: rank 1 \(.+\) failed: no space left on device$/)
  })

  test('refuse one that an earlier job has left, and a folder that is not there', async () => {
    await runFaulty('kill', 1, 2, { rdzv: at('left') })
    expect(existsSync(place.path('left.0.0'))).toBe(true)
    const again = await runFaulty('none', 0, 2, { rdzv: at('left') })
    expect(again.failed?.lines.at(-1)).toMatch(
      /left\.0\.0, which an earlier job has left: remove it, or name another file$/
    )
    const nowhere = await runFaulty('none', 0, 2, { rdzv: at('no/where') })
    expect(nowhere.failed?.lines.at(-1)).toMatch(/cannot meet at the file .+where\.0\.0: there is no such folder/)
  })
})
