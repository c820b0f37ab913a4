/** Ends a rank whose launcher has died as SIGTERM does: its standard input, a pipe that the launcher holds, ends then. */
export function endWithLauncher(): void {
  if (process.env.MACTOK_LAUNCHED !== '1') return
  process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM')).resume()
  // A socket, which must not keep the process alive.
  process.stdin.unref?.()
}
