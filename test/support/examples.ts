import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

export const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url))

/** Runs a script of examples/ with the built library, in a process of its own, and returns what it prints. */
export async function runExample(
  script: string,
  args: string[],
  { env = {}, cwd }: { env?: NodeJS.ProcessEnv; cwd?: string } = {}
): Promise<string> {
  const child = spawn(process.execPath, [EXAMPLES + script, ...args], {
    env: { ...process.env, MACTOK_ADDON: undefined, ...env },
    cwd,
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const code = new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  const [out, problems] = await Promise.all([text(child.stdout), text(child.stderr)])
  if ((await code) !== 0) throw new Error(`${script} exited with ${await code}: ${problems}`)
  return out
}
