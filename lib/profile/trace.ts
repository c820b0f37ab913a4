import type { Profile } from './profile.js'

/** Formats a profile in Chrome's trace format, which https://ui.perfetto.dev and chrome://tracing read: complete events by begin, in µs. */
export function chromeTrace({ spans }: Profile, { device }: { device: string }): string {
  const threads = [...new Set(spans.map(({ thread }) => thread))]
  const main = spans.find(({ kind }) => kind === 'step')?.thread
  const names = threads.map((tid) => {
    const name = tid === main ? 'steps' : `thread ${tid}`
    return { ph: 'M', name: 'thread_name', pid: 1, tid, ts: 0, args: { name } }
  })
  const events = spans.map(({ name, kind, thread, begin, end, phase }) => ({
    ph: 'X',
    name,
    cat: kind,
    pid: 1,
    tid: thread,
    ts: begin,
    dur: end - begin,
    args: { phase }
  }))
  // One event per line, so that line tools can search the file.
  const lines = [...names, ...events].map((event) => JSON.stringify(event))
  const other = JSON.stringify({ device, times: 'of the host' })
  return `{"displayTimeUnit":"ms","otherData":${other},"traceEvents":[\n${lines.join(',\n')}\n]}\n`
}
