import { spawnSync } from 'node:child_process'

/** The interpreter of tests that compare with Python: MACTOK_PYTHON, else `python3`. */
export const python = process.env.MACTOK_PYTHON ?? 'python3'

/** Whether it has these modules. */
export const hasModules = (...modules: string[]): boolean =>
  spawnSync(python, ['-c', `import ${modules.join(', ')}`]).status === 0

/** Runs it and returns what it prints. */
export function runPython(args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(python, args, { encoding: 'utf8' })
  if (error) throw error
  if (status !== 0) throw new Error(`${python} ${args[0]} exited with ${status}: ${stderr}`)
  return stdout
}
