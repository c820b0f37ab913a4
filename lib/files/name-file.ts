/** Adds the file to an error of the system about an open one, such as a full disk, as Node does for paths. */
export function nameFile(error: unknown, file: string): void {
  if (!(error instanceof Error)) return
  const failure: NodeJS.ErrnoException = error
  if (failure.syscall === undefined || failure.path !== undefined) return
  failure.path = file
  failure.message = `${failure.message} '${file}'`
}

/** Does something with an open file; errors of the system name it. */
export async function naming<T>(file: string, operation: Promise<T>): Promise<T> {
  try {
    return await operation
  } catch (error) {
    nameFile(error, file)
    throw error
  }
}
