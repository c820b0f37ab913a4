import { type LaunchOptions, type LaunchResult, launch } from '../../lib/distributed/launch.js'

export interface FinishedJob extends LaunchResult {
  /** The lines of each rank, both streams. */
  lines: string[][]
}

/** Runs a job to its end; a script's program is Node. */
export async function runJob(
  command: readonly string[],
  nproc: number,
  options: Partial<LaunchOptions> = {},
  onStart?: (job: ReturnType<typeof launch>) => void
): Promise<FinishedJob> {
  const lines: string[][] = Array.from({ length: nproc }, () => [])
  const job = launch({
    command: /\.mjs$/.test(command[0] ?? '') ? [process.execPath, ...command] : command,
    nproc,
    ...options,
    onLine: (line) => {
      lines[line.rank - (options.nodeRank ?? 0) * nproc]?.push(line.text)
      options.onLine?.(line)
    }
  })
  onStart?.(job)
  return { ...(await job.result), lines }
}
