import { describe, expect, test } from '@jest/globals'
import { MactokError } from '../../lib/errors.js'
import { TrainingControl } from '../../lib/training/control.js'
import { type Interval, type LoopPlan, runLoop } from '../../lib/training/loop.js'
import { trainTokenizer } from '../../lib/training/tokenizer/training.js'

/** A plan that records its calls; a step resolves in a later turn of the event loop. */
function recorded(changes: Partial<LoopPlan<number>> & Pick<LoopPlan<number>, 'every'>) {
  const calls: string[] = []
  let running = 0
  let mostRunning = 0
  const note = (name: string) => async (done: number) => {
    expect(running).toBe(0)
    calls.push(`${name} ${done}`)
  }
  async function* numbers() {
    for (let i = changes.start ?? 0; ; i++) yield i
  }
  const plan: LoopPlan<number> = {
    start: 0,
    stop: 4,
    batches: numbers(),
    step: async (batch, step) => {
      expect(batch).toBe(step)
      mostRunning = Math.max(mostRunning, ++running)
      await new Promise((resolve) => setTimeout(resolve, 5))
      running -= 1
      calls.push(`step ${step}`)
    },
    metrics: async () => ({}),
    log: note('log'),
    evaluate: note('evaluate'),
    checkpoint: note('checkpoint'),
    ...changes
  }
  return { plan, calls, mostRunning: () => mostRunning }
}
const never = { log: 1000, checkpoint: 1000 }

describe('runLoop', () => {
  test('logs, evaluates and saves between steps, and always saves at the end', async () => {
    const { plan, calls } = recorded({ every: { log: 2, checkpoint: 3, evaluation: 2 } })
    expect(await runLoop(plan)).toBe(4)
    expect(calls).toEqual([
      ...['step 0', 'step 1', 'log 2', 'evaluate 2'],
      ...['step 2', 'log 3', 'checkpoint 3'],
      ...['step 3', 'log 4', 'checkpoint 4', 'evaluate 4']
    ])
  })

  test('has written the checkpoint of a step whose evaluation fails', async () => {
    const { plan, calls } = recorded({
      every: { log: 2, checkpoint: 2, evaluation: 2 },
      evaluate: () => Promise.reject(new Error('no reference'))
    })
    await expect(runLoop(plan)).rejects.toThrow('no reference')
    expect(calls).toEqual(['step 0', 'step 1', 'log 2', 'checkpoint 2'])
  })

  test('evaluates the step that it resumes from where that is missing, also at the end', async () => {
    const missing = { start: 2, lacksEvaluation: true, every: { ...never, evaluation: 2 } }
    const { plan, calls } = recorded(missing)
    expect(await runLoop(plan)).toBe(4)
    expect(calls).toEqual(['evaluate 2', 'step 2', 'step 3', 'log 4', 'checkpoint 4', 'evaluate 4'])
    const ended = recorded({ ...missing, stop: 2 })
    expect(await runLoop(ended.plan)).toBe(2)
    expect(ended.calls).toEqual(['evaluate 2'])
  })

  test('resumes from a step', async () => {
    const { plan, calls } = recorded({ start: 2, every: never })
    expect(await runLoop(plan)).toBe(4)
    expect(calls).toEqual(['step 2', 'step 3', 'log 4', 'checkpoint 4'])
  })

  test('keeps one step queued behind the one that runs', async () => {
    const { plan, mostRunning } = recorded({ every: never })
    await runLoop(plan)
    expect(mostRunning()).toBe(2)
  })

  test('writes a checkpoint and returns when it is aborted', async () => {
    const controller = new AbortController()
    const { plan, calls } = recorded({
      every: { ...never, log: 2 },
      stop: 100,
      signal: controller.signal,
      log: async (done) => {
        calls.push(`log ${done}`)
        if (done === 2) controller.abort()
      }
    })
    expect(await runLoop(plan)).toBe(2)
    expect(calls).toEqual(['step 0', 'step 1', 'log 2', 'checkpoint 2'])
  })

  test('does nothing when it was aborted before it began', async () => {
    const { plan, calls } = recorded({ every: never, signal: AbortSignal.abort() })
    expect(await runLoop(plan)).toBe(0)
    expect(calls).toEqual([])
  })

  test('waits between steps while it is paused, and writes a requested checkpoint', async () => {
    const control = new TrainingControl()
    expect(control.state).toBe('waiting')
    const { plan, calls } = recorded({
      every: { ...never, log: 2 },
      control,
      log: async (done) => {
        calls.push(`log ${done}`)
        if (done !== 2) return
        control.pause()
        expect(control.state).toBe('pausing')
      }
    })
    const run = runLoop(plan)
    while (control.state !== 'paused') await new Promise((resolve) => setTimeout(resolve, 1))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(calls).toEqual(['step 0', 'step 1', 'log 2'])
    await control.checkpoint()
    await control.checkpoint()
    expect(calls).toEqual(['step 0', 'step 1', 'log 2', 'checkpoint 2'])
    control.resume()
    expect(await run).toBe(4)
    expect(calls.slice(4)).toEqual(['step 2', 'step 3', 'log 4', 'checkpoint 4'])
    expect(control.state).toBe('ended')
    await control.checkpoint()
  })

  test.each(['control', 'signal'])('is stopped by its %s while it is paused', async (by) => {
    const control = new TrainingControl()
    const controller = new AbortController()
    const { plan, calls } = recorded({ every: never, control, signal: controller.signal })
    control.pause()
    const run = runLoop(plan)
    while (control.state !== 'paused') await new Promise((resolve) => setTimeout(resolve, 1))
    if (by === 'control') control.stop()
    else controller.abort()
    expect(await run).toBe(1)
    expect(calls).toEqual(['step 0', 'log 1', 'checkpoint 1'])
  })

  test('writes a requested checkpoint after the running step, with its line of the log', async () => {
    const control = new TrainingControl()
    const { plan, calls } = recorded({ every: never, control })
    const requested = control.checkpoint()
    await Promise.all([requested, runLoop(plan)])
    expect(calls.slice(0, 3)).toEqual(['step 0', 'log 1', 'checkpoint 1'])
  })

  test('rejects a request for a checkpoint with the error of the run', async () => {
    const control = new TrainingControl()
    const failing = { step: () => Promise.reject(new Error('broken')) }
    const { plan } = recorded({ every: never, control, ...failing })
    const requested = control.checkpoint()
    await expect(runLoop(plan)).rejects.toThrow('broken')
    await expect(requested).rejects.toThrow('broken')
    await expect(control.checkpoint()).rejects.toThrow('broken')
  })

  test('refuses a control that another run has used', async () => {
    const control = new TrainingControl()
    await runLoop(recorded({ every: never, control }).plan)
    await expect(runLoop(recorded({ every: never, control }).plan)).rejects.toThrow(
      "Expected a control that no run has used for control but received 'ended' of type string"
    )
  })

  test("fails with a step's error without a checkpoint, and closes the data", async () => {
    let closed = false
    async function* batches() {
      try {
        for (let i = 0; ; i++) yield i
      } finally {
        closed = true
      }
    }
    const { plan, calls } = recorded({
      every: never,
      batches: batches(),
      step: async (_, step) => {
        if (step >= 1) throw new Error(`broken at ${step}`)
      }
    })
    await expect(runLoop(plan)).rejects.toThrow('broken at 1')
    expect(calls).toEqual([])
    expect(closed).toBe(true)
  })

  test('measures the seconds of training since the last line of the log, and of nothing else', async () => {
    let clock = 0
    const minute = async () => {
      clock += 60_000
    }
    const intervals: Interval[] = []
    const control = new TrainingControl()
    const { plan } = recorded({
      every: { log: 4, evaluation: 3, grid: 5, checkpoint: 6 },
      stop: 8,
      control,
      now: () => clock,
      step: async () => {
        clock += 1000
      },
      log: async (_, __, interval) => {
        intervals.push(interval)
        await minute()
      },
      evaluate: minute,
      grid: minute,
      checkpoint: minute
    })
    await runLoop(plan)
    expect(intervals).toEqual([
      { steps: 4, seconds: 4 },
      { steps: 2, seconds: 2 },
      { steps: 2, seconds: 2 }
    ])
  })

  test('does not measure a pause, also where a checkpoint is written in it', async () => {
    let clock = 0
    const intervals: Interval[] = []
    const control = new TrainingControl()
    const { plan } = recorded({
      every: { ...never, log: 2 },
      control,
      now: () => clock,
      step: async (_, step) => {
        clock += 1000
        if (step === 0) control.pause()
      },
      log: async (_, __, interval) => {
        intervals.push(interval)
      },
      checkpoint: async () => {
        clock += 60_000
      }
    })
    const run = runLoop(plan)
    while (control.state !== 'paused') await new Promise((resolve) => setTimeout(resolve, 1))
    clock += 60_000
    await control.checkpoint()
    clock += 60_000
    control.resume()
    await run
    expect(intervals).toEqual([
      { steps: 1, seconds: 1 },
      { steps: 1, seconds: 1 },
      { steps: 2, seconds: 2 }
    ])
  })
})

test('a control whose run fails before its first step says so, and waits for nothing', async () => {
  const control = new TrainingControl()
  const saved = control.checkpoint()
  const run = trainTokenizer('tiny-32').data('/nowhere').run({ dir: '/nowhere/run', control })
  const [failed, unsaved] = await Promise.allSettled([run, saved])
  expect(failed).toMatchObject({ status: 'rejected', reason: expect.any(MactokError) })
  expect(unsaved).toEqual(failed)
  expect(control.state).toBe('ended')
})
