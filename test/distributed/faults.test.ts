import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { runJob } from './support.js'

const worker = fileURLToPath(new URL('faulty-worker.mjs', import.meta.url))

/** Runs three ranks, of which one has a fault. */
async function runFaulty(fault: string, faulty = 1, options: Parameters<typeof runJob>[2] = {}) {
  process.env.FAULT = fault
  process.env.FAULTY = String(faulty)
  const started = performance.now()
  const job = await runJob([worker], 3, options)
  return { ...job, seconds: (performance.now() - started) / 1000 }
}

describe('a job ends with an error that names the rank', () => {
  test.each([1, 0])('when rank %i is killed', async (faulty) => {
    const { code, failed, lines, seconds } = await runFaulty('kill', faulty)
    expect({ code, rank: failed?.rank }).toEqual({ code: 137, rank: faulty })
    expect(failed?.lines.at(-1)).toBe('ended by SIGKILL')
    // Its store goes with rank 0.
    const reason = faulty === 0 ? /the store of rank 0 at|rank 0 .* is lost/ : /rank 1 \(.+, process \d+\) is lost/
    expect(lines[2]?.at(-1)).toMatch(reason)
    expect(seconds).toBeLessThan(15)
  })

  test('when it fails, with its reason', async () => {
    const { code, failed, lines } = await runFaulty('throw')
    expect({ code, rank: failed?.rank }).toEqual({ code: 1, rank: 1 })
    expect(failed?.lines.at(-1)).toBe('error: no space left on device')
    expect(lines[0]?.at(-1)).toMatch(/rank 1 \(.+\) failed: no space left on device/)
  })

  test('when it is stopped', async () => {
    const { lines, seconds } = await runFaulty('stop')
    expect(lines[0]?.at(-1)).toMatch(/rank 1 \(.+\) is lost: it has been silent for 2 s/)
    expect(seconds).toBeLessThan(40)
  })

  test('when the others wait for it in vain', async () => {
    const { lines } = await runFaulty('hang')
    expect(lines[0]?.at(-1)).toMatch(/rank 1 \(.+\) is stuck: the others have waited for it for 2 s/)
  })

  test('when it never comes', async () => {
    const { lines } = await runFaulty('missing', 2)
    expect(lines[0]?.at(-1)).toMatch(/error: Rank 2 of 3 did not join within 2 s at the store of rank 0/)
  })

  test('when its port is in use', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((listening) => server.once('listening', listening))
    const { port } = server.address() as { port: number }
    const { failed } = await runFaulty('none', 0, { rdzv: `127.0.0.1:${port}` })
    server.close()
    expect(failed?.rank).toBe(0)
    expect(failed?.lines.join('\n')).toMatch(new RegExp(`Rank 0 cannot listen on 127.0.0.1:${port}`))
  })
})

test.each(['late', 'slow', 'busy'])('a rank that is %s only delays the job', async (fault) => {
  const { code, lines } = await runFaulty(fault)
  expect({ code, lines }).toEqual({ code: 0, lines: [0, 1, 2].map((rank) => [`rank ${rank} met the others`]) })
})

test('a failed job starts again', async () => {
  const notices: string[] = []
  const { code } = await runFaulty('throw', 1, { restarts: 1, onNotice: (message) => notices.push(message) })
  expect(code).toBe(0)
  expect(notices).toEqual(['rank 1 failed (error: no space left on device); restart 1 of 1'])
})
