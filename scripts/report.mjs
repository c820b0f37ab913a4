// How the scripts speak: one line a stage, one message for a failure.

/** A failure that the user can mend: what is wrong, and the way out. */
export class Failure extends Error {
  /**
   * @param {string} problem
   * @param {string[]} remedies
   */
  constructor(problem, remedies = []) {
    super([problem, ...remedies.map((remedy) => `  - ${remedy}`)].join('\n'))
  }
}

/** @param {string} line */
export const say = (line) => console.error(`mactok: ${line}`)

/**
 * Runs a script's body; a Failure becomes its message and exit code 1.
 * @param {() => unknown} body
 */
export async function run(body) {
  try {
    await body()
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    say(error.message)
    process.exitCode = 1
  }
}
