// Plain JavaScript, because the set-up needs it before TypeScript is compiled.
import { readFileSync } from 'node:fs'

/**
 * Whether a process of this machine runs. Not so one that ended, but whose parent does not take notice, as the first process of a
 * container may not: the system keeps its id.
 * @param {number} pid
 */
export function isAlive(pid) {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM'
  }
  const [state = ''] = readStatus(pid) ?? []
  return !['Z', 'X'].includes(state)
}

/**
 * What Linux tells of a process after its name, from its state on (`proc_pid_stat`); null elsewhere.
 * @param {number} pid
 */
export function readStatus(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name may hold spaces and brackets.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}
