import { execFileSync, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { describeWhere } from '../support/paths.js'
import { type FinishedJob, runJob } from './support.js'

// Two network namespaces, joined by a virtual cable, are two hosts.
const hosts = ['a', 'b'].map((name) => `mactok-${process.pid}-${name}`) as [string, string]
const addresses = ['10.213.77.1', '10.213.77.2'] as const
const worker = fileURLToPath(new URL('faulty-worker.mjs', import.meta.url))
const ip = (...words: string[]) => execFileSync('ip', words, { stdio: 'pipe' })

/** Why there are no namespaces; undefined where there are. */
function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'they exist on Linux only'
  const { error, status, stderr } = spawnSync('ip', ['netns', 'add', hosts[0]], { encoding: 'utf8' })
  if (error) return 'ip is not installed'
  if (status !== 0) return stderr.trim()
  ip('netns', 'del', hosts[0])
  return undefined
}

const reason = whyNot()

let port = 29_700
/** One rank on each host, of which rank 1 has the fault. */
function runHosts(fault: string, onLine?: (text: string) => void): Promise<FinishedJob[]> {
  process.env.FAULT = fault
  process.env.FAULTY = '1'
  process.env.TIMEOUT = fault === 'cut' ? '10' : '60'
  const rdzv = `${addresses[0]}:${port++}`
  return Promise.all(
    hosts.map((host, nodeRank) =>
      runJob(['ip', 'netns', 'exec', host, process.execPath, worker], 1, {
        nnodes: 2,
        nodeRank,
        rdzv,
        patience: 3000,
        onLine: ({ text }) => onLine?.(text)
      })
    )
  )
}

describeWhere(!reason, reason ?? '', 'ranks on two hosts', () => {
  beforeAll(() => {
    for (const host of hosts) ip('netns', 'add', host)
    ip('link', 'add', 'cable', 'netns', hosts[0], 'type', 'veth', 'peer', 'name', 'cable', 'netns', hosts[1])
    for (const [i, host] of hosts.entries()) {
      ip('-n', host, 'address', 'add', `${addresses[i]}/24`, 'dev', 'cable')
      for (const device of ['cable', 'lo']) ip('-n', host, 'link', 'set', device, 'up')
    }
  })
  afterAll(() => {
    for (const host of hosts) ip('netns', 'del', host)
  })

  test('reach each other on the interface that leads to rank 0', async () => {
    const [one, other] = (await runHosts('none')) as [FinishedJob, FinishedJob]
    expect([one.lines[0], other.lines[0]]).toEqual([['rank 0 met the others'], ['rank 1 met the others']])
  })

  test('end with an error on both when the link drops', async () => {
    let isCut = false
    const [one, other] = (await runHosts('cut', (text) => {
      if (isCut || text !== 'cut') return
      isCut = true
      ip('-n', hosts[1], 'link', 'set', 'cable', 'down')
    })) as [FinishedJob, FinishedJob]
    ip('-n', hosts[1], 'link', 'set', 'cable', 'up')
    expect(one.lines[0]?.at(-1)).toMatch(/rank 1 \(.+\) is lost: it has been silent for [\d.]+ s/)
    expect(other.lines[0]?.at(-1)).toMatch(/the store of rank 0 at 10\.213\.77\.1:\d+ has not answered for 10 s/)
    expect([one.code, other.code]).toEqual([1, 1])
  })
})
