import { describe, expect, test } from '@jest/globals'
import type { NativeProfile } from '../../lib/native/addon.js'
import { type Profile, readProfile } from '../../lib/profile/profile.js'
import { operationTimes, phaseTimes, profileTable } from '../../lib/profile/table.js'
import { chromeTrace } from '../../lib/profile/trace.js'

/** A recording of spans [name, thread, begin, end, step number], in the order of their ends. */
function recorded(rows: [string, number, number, number, number?][]): NativeProfile {
  const names = [...new Set(rows.map(([name]) => name))]
  const columns = rows.flatMap(([name, thread, begin, end, number = -1]) => [
    names.indexOf(name),
    thread,
    number,
    begin,
    end
  ])
  return { names, spans: Float64Array.from(columns) }
}

/** Steps 3, 4 and 5; of step 4 everything is known, a second thread helps with its backward pass. */
const recording = recorded([
  ['step', 1, 0, 100, 3],
  ['aten::mm', 1, 120, 140],
  ['aten::linear', 1, 115, 145],
  ['phase:encoder', 1, 112, 150],
  ['aten::mm', 2, 155, 160],
  ['autograd::engine::evaluate_function: MmBackward0', 2, 154, 170],
  ['aten::mul', 1, 156, 158],
  ['phase:losses', 1, 155, 159],
  ['phase:backward', 1, 151, 185],
  ['step', 1, 110, 200, 4],
  ['aten::late', 1, 205, 299],
  ['step', 1, 202, 300, 5]
])

describe('a profile', () => {
  const profile = readProfile(recording, 4, 4) as Profile

  test('is cut to its steps, with the wait before them', () => {
    expect(profile).toMatchObject({ first: 5, last: 5, steps: 1, duration: 100 })
    expect(profile.spans.map(({ name }) => name)).not.toContain('aten::late')
    expect(profile.spans[0]).toMatchObject({ name: 'data wait', kind: 'phase', begin: 0, end: 10 })
  })

  test('has self times and phases, also of spans on other threads', () => {
    const mm = profile.spans.filter(({ name }) => name === 'aten::mm')
    expect(mm.map(({ self, phase, thread }) => [self, phase, thread])).toEqual([
      [20, 'encoder', 1],
      [5, 'backward', 2]
    ])
    expect(profile.spans.find(({ name }) => name === 'aten::linear')).toMatchObject({ self: 10, phase: 'encoder' })
    expect(profile.spans.find(({ name }) => name === 'MmBackward0')).toMatchObject({ self: 11, phase: 'backward' })
  })

  test('gives phases their own time, without phases within', () => {
    expect(phaseTimes(profile)).toEqual([
      { phase: 'encoder', time: 38 },
      { phase: 'backward', time: 30 },
      { phase: 'other', time: 18 },
      { phase: 'data wait', time: 10 },
      { phase: 'losses', time: 4 }
    ])
  })

  test('sums operations by name', () => {
    const [first] = operationTimes(profile.spans.filter(({ thread }) => thread === 1))
    expect(first).toEqual({ name: '(outside operations)', calls: 5, self: 68, total: 68 })
    const found = operationTimes(profile.spans).find(({ name }) => name === 'aten::mm')
    expect(found).toEqual({ name: 'aten::mm', calls: 2, self: 25, total: 25 })
  })

  test('counts the total of a recursive operation once', () => {
    const nested = readProfile(
      recorded([
        ['aten::copy_', 1, 2, 4],
        ['aten::copy_', 1, 1, 9],
        ['step', 1, 0, 10, 0]
      ]),
      0,
      0
    ) as Profile
    expect(operationTimes(nested.spans)[0]).toEqual({ name: 'aten::copy_', calls: 2, self: 8, total: 8 })
  })

  test('ends a span with the one around it', () => {
    const overlapping = recorded([
      ['aten::linear', 1, 120, 150],
      ['aten::mm', 1, 130, 158],
      ['step', 1, 110, 200, 4]
    ])
    const found = (readProfile(overlapping, 4, 4) as Profile).spans.find(({ name }) => name === 'aten::mm')
    expect(found).toMatchObject({ begin: 20, end: 40 })
  })

  test('is null where none of its steps was recorded', () => expect(readProfile(recording, 7, 9)).toBeNull())

  test('says on a GPU that its times are host times', () => {
    const options = { most: 5, each: false }
    expect(profileTable(profile, { device: 'cuda', ...options })).toContain('Times are host times')
    expect(profileTable(profile, { device: 'cpu', ...options })).not.toContain('Times are host times')
  })

  test('is written as a trace with named threads', () => {
    const { traceEvents } = JSON.parse(chromeTrace(profile, { device: 'cpu' }))
    expect(traceEvents.slice(0, 2).map(({ args }: { args: { name: string } }) => args.name)).toEqual([
      'steps',
      'thread 2'
    ])
    expect(traceEvents).toContainEqual({
      ph: 'X',
      name: 'aten::mm',
      cat: 'operation',
      pid: 1,
      tid: 1,
      ts: 20,
      dur: 20,
      args: { phase: 'encoder' }
    })
  })
})
