import { expect, test } from '@jest/globals'
import { aloneRanks } from '../../lib/distributed/ranks.js'
import { rendezvousFromEnvironment } from '../../lib/distributed/rendezvous.js'

test("reads torchrun's address, and leaves the store to an agent that holds it", () => {
  const env = { MASTER_ADDR: 'gpu0', MASTER_PORT: '29501' }
  expect(rendezvousFromEnvironment(aloneRanks, env)).toMatchObject({ host: 'gpu0', port: 29501, holdsStore: true })
  expect(rendezvousFromEnvironment({ ...aloneRanks, rank: 1 }, env)).toMatchObject({
    holdsStore: false,
    outlives: false
  })
  const agent = { ...env, TORCHELASTIC_USE_AGENT_STORE: 'True', TORCHELASTIC_RESTART_COUNT: '2' }
  const place = rendezvousFromEnvironment(aloneRanks, agent)
  expect(place).toMatchObject({ holdsStore: false, outlives: true })
  expect(place.prefix).toMatch(/^mactok\/2\//)
})

test("reads a file's URL: each attempt, and each time that a process meets others, has a file of its own", () => {
  const env = { MASTER_ADDR: 'file:///shared/a%20b', TORCHELASTIC_RESTART_COUNT: '2' }
  const [one, two] = [rendezvousFromEnvironment(aloneRanks, env), rendezvousFromEnvironment(aloneRanks, env)]
  expect(one).toMatchObject({ holdsStore: false, outlives: true })
  expect(one.file).toMatch(/^\/shared\/a b\.2\.\d+$/)
  expect(two.file).not.toBe(one.file)
})

test.each([
  ['gpu[07-09,12],login1', 'gpu07'],
  ['node3', 'node3'],
  ['a1,a2', 'a1']
])('meets at the first node of a step of Slurm, %s', (SLURM_STEP_NODELIST, host) => {
  const env = { SLURM_STEP_NODELIST, SLURM_JOB_ID: '4711', SLURM_STEP_ID: '1' }
  const place = rendezvousFromEnvironment(aloneRanks, env)
  expect(place.host).toBe(host)
  expect(place.port).toBe(20_000 + ((4711 * 8 + 1) % 20_000))
})

test.each([
  [{ MASTER_PORT: '29500' }, 'the address of rank 0 for the environment variable MASTER_ADDR but received undefined'],
  [{ MASTER_ADDR: 'a' }, 'a port from 1 to 65535 for the environment variable MASTER_PORT but received undefined'],
  [
    { MASTER_ADDR: 'file://b/c' },
    "an absolute path after file:// for the environment variable MASTER_ADDR but received 'file://b/c'"
  ],
  [{ MASTER_ADDR: 'a', MASTER_PORT: '99999' }, "MASTER_PORT but received '99999'"]
])('refuses %j', (env, message) => {
  expect(() => rendezvousFromEnvironment(aloneRanks, env)).toThrow(message)
})
