/**
 * Signals before a command handles them itself. The first import of the command line, because loading the others takes a while in which
 * a signal would end the process without an exit code.
 */

/** Signals that end the work in good order, and the exit codes that say so. */
export const signals = { SIGINT: 130, SIGTERM: 130, SIGHUP: 129 } as const
export type Signal = keyof typeof signals

export const signalNames = Object.keys(signals) as Signal[]

let isHandled = false

/** Whether the command works on something that a signal would interrupt. */
export const isInterruptible = (): boolean => isHandled

const end = (name: Signal) => {
  // Leaving waits for native work; the next signal does not.
  release()
  process.exit(signals[name])
}

function release(): void {
  for (const name of signalNames) process.off(name, end)
}

for (const name of signalNames) process.on(name, end)

/** Calls `stop` for every signal from now on. */
export function handleSignals(stop: (name: Signal) => void): void {
  release()
  isHandled = true
  for (const name of signalNames) process.on(name, stop)
}
