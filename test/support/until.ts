import { setTimeout as sleep } from 'node:timers/promises'

/** Waits until a condition holds, or for so many milliseconds: what is expected is checked afterwards. */
export async function until(condition: () => boolean | Promise<boolean>, milliseconds = 30_000): Promise<void> {
  const end = performance.now() + milliseconds
  while (!(await condition()) && performance.now() < end) await sleep(20)
}
