import { describe, expect, test } from '@jest/globals'
import { TrainingControl } from '../../lib/training/control.js'
import { type LoopPlan, runLoop } from '../../lib/training/loop.js'

/** A plan that writes down what it is asked to do; a step resolves in a later turn of the event loop. */
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
    log: note('log'),
    evaluate: note('evaluate'),
    checkpoint: note('checkpoint'),
    ...changes
  }
  return { plan, calls, mostRunning: () => mostRunning }
}
const never = { log: 1000, checkpoint: 1000, evaluation: null }

describe('runLoop', () => {
  test('logs, evaluates and saves between steps, and always saves at the end', async () => {
    const { plan, calls } = recorded({ every: { log: 2, checkpoint: 3, evaluation: 2 } })
    expect(await runLoop(plan)).toBe(4)
    expect(calls).toEqual([
      ...['step 0', 'step 1', 'log 2', 'evaluate 2'],
      ...['step 2', 'log 3', 'checkpoint 3'],
      ...['step 3', 'log 4', 'evaluate 4', 'checkpoint 4']
    ])
  })

  test('goes on from a step', async () => {
    const { plan, calls } = recorded({ start: 2, every: never })
    expect(await runLoop(plan)).toBe(4)
    expect(calls).toEqual(['step 2', 'step 3', 'log 4', 'checkpoint 4'])
  })

  test('keeps one step queued behind the one that runs', async () => {
    const { plan, mostRunning } = recorded({ every: never })
    await runLoop(plan)
    expect(mostRunning()).toBe(2)
  })

  test('saves what is done when it is aborted', async () => {
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

  test('does nothing when it is aborted before', async () => {
    const { plan, calls } = recorded({ every: never, signal: AbortSignal.abort() })
    expect(await runLoop(plan)).toBe(0)
    expect(calls).toEqual([])
  })

  test('holds between steps while it is paused, and saves when asked to', async () => {
    const control = new TrainingControl()
    expect(control.state).toBe('waiting')
    const pauses: number[] = []
    const { plan, calls } = recorded({
      every: { ...never, log: 2 },
      ...{ control, held: (duration: number) => pauses.push(duration) },
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
    expect(pauses).toEqual([expect.any(Number)])
    expect(pauses[0]).toBeGreaterThan(15)
    await control.checkpoint()
  })

  test.each(['control', 'signal'])('a paused run is stopped by its %s', async (by) => {
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

  test('a checkpoint that was asked for comes after the step that runs, with its line of the log', async () => {
    const control = new TrainingControl()
    const { plan, calls } = recorded({ every: never, control })
    const asked = control.checkpoint()
    await Promise.all([asked, runLoop(plan)])
    expect(calls.slice(0, 3)).toEqual(['step 0', 'log 1', 'checkpoint 1'])
  })

  test('whoever waits for a checkpoint of a failing run is told why there is none', async () => {
    const control = new TrainingControl()
    const failing = { step: () => Promise.reject(new Error('broken')) }
    const { plan } = recorded({ every: never, control, ...failing })
    const asked = control.checkpoint()
    await expect(runLoop(plan)).rejects.toThrow('broken')
    await expect(asked).rejects.toThrow('broken')
    await expect(control.checkpoint()).rejects.toThrow('broken')
  })

  test('a control serves one run', async () => {
    const control = new TrainingControl()
    await runLoop(recorded({ every: never, control }).plan)
    await expect(runLoop(recorded({ every: never, control }).plan)).rejects.toThrow(
      "Expected a control that no other run had for control but received 'ended' of type string"
    )
  })

  test("a step's error ends it without a checkpoint, and closes the data", async () => {
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
})
