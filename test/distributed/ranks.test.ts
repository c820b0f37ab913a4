import { describe, expect, test } from '@jest/globals'
import { launch } from '../../lib/distributed/launch.js'
import { ranksFromEnvironment } from '../../lib/distributed/ranks.js'

describe('ranksFromEnvironment', () => {
  test('without a launcher, a process is alone', () => {
    expect(ranksFromEnvironment({})).toEqual({ rank: 0, worldSize: 1, localRank: 0, localSize: 1 })
  })

  test('understands torchrun', () => {
    const env = { RANK: '5', WORLD_SIZE: '8', LOCAL_RANK: '1', LOCAL_WORLD_SIZE: '4' }
    expect(ranksFromEnvironment(env)).toEqual({ rank: 5, worldSize: 8, localRank: 1, localSize: 4 })
  })

  test('understands a step of Slurm, but takes its batch script for one process', () => {
    const step = { SLURM_NTASKS: '7', SLURM_PROCID: '6', SLURM_LOCALID: '0', SLURM_NODEID: '3' }
    const sizes = { SLURM_STEP_NUM_TASKS: '7', SLURM_STEP_TASKS_PER_NODE: '2(x3),1' }
    expect(ranksFromEnvironment({ ...step, ...sizes })).toEqual({ rank: 6, worldSize: 7, localRank: 0, localSize: 1 })
    expect(ranksFromEnvironment({ ...step, SLURM_PROCID: '0' })).toMatchObject({ worldSize: 1 })
  })

  test('counts arrays of Slurm and indexed jobs of Kubernetes only where their work needs no communication', () => {
    const array = { SLURM_ARRAY_TASK_ID: '12', SLURM_ARRAY_TASK_MIN: '10', SLURM_ARRAY_TASK_COUNT: '4' }
    expect(ranksFromEnvironment(array)).toMatchObject({ worldSize: 1 })
    expect(ranksFromEnvironment(array, { arrays: true })).toMatchObject({ rank: 2, worldSize: 4 })
    const job = { JOB_COMPLETION_INDEX: '3', WORLD_SIZE: '16' }
    expect(ranksFromEnvironment(job, { arrays: true })).toMatchObject({ rank: 3, worldSize: 16 })
    const stepOfArray = { ...array, SLURM_STEP_NUM_TASKS: '1', SLURM_PROCID: '0' }
    expect(ranksFromEnvironment(stepOfArray, { arrays: true })).toMatchObject({ rank: 2, worldSize: 4 })
  })

  test.each([
    [{ RANK: '1' }, 'an integer from 1 on for the environment variable WORLD_SIZE but received undefined'],
    [{ RANK: '2', WORLD_SIZE: '2' }, "an integer from 0 to 1 for the environment variable RANK but received '2'"],
    [{ RANK: 'x', WORLD_SIZE: '2' }, "an integer from 0 to 1 for the environment variable RANK but received 'x'"],
    [
      { SLURM_ARRAY_TASK_ID: '14', SLURM_ARRAY_TASK_MIN: '10', SLURM_ARRAY_TASK_COUNT: '4' },
      "an integer from 10 to 13 for the environment variable SLURM_ARRAY_TASK_ID but received '14'"
    ]
  ])('refuses %j', (env, message) => {
    expect(() => ranksFromEnvironment(env, { arrays: true })).toThrow(message)
  })
})

describe('launch', () => {
  test('starts nothing that was stopped while it chose a port', async () => {
    const lines: string[] = []
    const job = launch({ command: [process.execPath, '-p', '1'], nproc: 1, onLine: ({ text }) => lines.push(text) })
    job.kill('SIGTERM')
    expect(await job.result).toEqual({ code: 143, failed: null })
    expect(lines).toEqual([])
  })

  test('refuses a patience that is none', () => {
    expect(() => launch({ command: ['x'], nproc: 1, patience: -1 })).toThrow('patience')
  })
})
