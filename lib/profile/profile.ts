/** Reads a recording of steps: cuts spans to the steps, nests them and assigns their phases. */

import type { NativeProfile } from '../native/addon.js'

/** A span of host time, in µs since the profile's start. */
export interface Span {
  name: string
  /** `operation`: of LibTorch or an autograd node. */
  kind: 'operation' | 'phase' | 'step'
  thread: number
  begin: number
  end: number
  /** Time outside the spans within this one, on the same thread. */
  self: number
  /** Whether it is nested in another span of the same name. */
  isNested: boolean
  /** The phase of the step that it belongs to. */
  phase: string
}

export interface Profile {
  /** Numbers of the first and last step, as the log has them. */
  first: number
  last: number
  steps: number
  /** From the end of the step before to the end of the last one, in µs. */
  duration: number
  /** Ordered by begin, outer spans first. */
  spans: Span[]
}

/** Time between two steps, when the engine was idle. */
export const WAIT = 'data wait'
/** Time of a step in none of its phases. */
export const OTHER = 'other'

const stepName = 'step'
const phasePrefix = 'phase:'
/** LibTorch's prefix for the spans of autograd nodes. */
const enginePrefix = 'autograd::engine::evaluate_function: '

interface Raw {
  name: string
  thread: number
  number: number
  begin: number
  end: number
}

/**
 * Reads the steps from `first` to `last` (counted from 0, as native steps are) of a recording; null where none of them was recorded.
 * The wait before the first one is known only where the step before was recorded too.
 */
export function readProfile({ names, spans }: NativeProfile, first: number, last: number): Profile | null {
  const all: Raw[] = Array.from({ length: spans.length / 5 }, (_, i) => {
    const [name, thread, number, begin, end] = spans.subarray(i * 5, i * 5 + 5) as unknown as number[]
    return { name: names[name as number] as string, thread, number, begin, end } as Raw
  })
  const steps = all.filter(({ name }) => name === stepName).sort(byBegin)
  const wanted = steps.filter(({ number }) => number >= first && number <= last)
  const [from, to] = [wanted[0], wanted.at(-1)]
  if (!from || !to) return null
  const before = steps[steps.indexOf(from) - 1]
  const start = before?.end ?? from.begin
  const waits = wanted.map((step, i): Raw => {
    const begin = (i > 0 ? wanted[i - 1] : before)?.end ?? step.begin
    return { ...step, name: phasePrefix + WAIT, begin, end: step.begin }
  })
  const cut = [...all.filter(({ begin, end }) => begin >= start && end <= to.end), ...waits]
    .map((span) => ({ ...span, begin: span.begin - start, end: span.end - start }))
    .sort(byBegin)
  return {
    first: from.number + 1,
    last: to.number + 1,
    steps: wanted.length,
    duration: to.end - start,
    spans: nest(cut, to.thread)
  }
}

const byBegin = (a: Raw, b: Raw) => a.begin - b.begin || b.end - a.end

/** Nests spans; `main` is the thread of the steps. */
function nest(raw: readonly Raw[], main: number): Span[] {
  const open = new Map<number, Span[]>()
  const spans: Span[] = []
  for (const { name, thread, begin, end: measured } of raw) {
    const stack = open.get(thread) ?? []
    open.set(thread, stack)
    while (stack.length > 0 && (stack.at(-1) as Span).end <= begin) stack.pop()
    const outer = stack.at(-1)
    // A busy machine was seen to end one 28 µs after the span around it; viewers drop what overlaps.
    const end = Math.min(measured, outer?.end ?? measured)
    if (outer) outer.self -= end - begin
    const kind = name === stepName ? 'step' : name.startsWith(phasePrefix) ? 'phase' : 'operation'
    const plain = name.replace(kind === 'phase' ? phasePrefix : enginePrefix, '')
    const span: Span = { name: plain, kind, thread, begin, end, self: end - begin, isNested: false, phase: OTHER }
    span.isNested = stack.some((one) => one.name === plain)
    if (kind === 'phase') span.phase = plain
    else if (outer) span.phase = outer.phase
    // Other threads work for the phase that the step is in.
    else if (thread !== main) span.phase = open.get(main)?.findLast(({ end: until }) => until > begin)?.phase ?? OTHER
    stack.push(span)
    spans.push(span)
  }
  return spans
}
