/** What blocks of shell commands say, as far as documentation needs it: words, quotes, comments, variables, continued lines. */

/** The commands of a script, each as its words. */
export function readCommands(script: string): string[][] {
  const variables = new Map<string, string>()
  const commands: string[][] = []
  for (const line of script.replace(/\\\n\s*/g, '').split('\n')) {
    const [, name, value] = /^(?:export )?([A-Za-z_]\w*)=(.*)$/.exec(line) ?? []
    if (name !== undefined) {
      // The value of a command is unknown.
      variables.set(name, value?.startsWith('$(') ? '' : (readWords(value ?? '', variables)[0] ?? ''))
      continue
    }
    for (const words of splitWords(readWords(line, variables))) commands.push(words)
  }
  return commands
}

/** `a && b` is two commands. */
function splitWords(words: string[]): string[][] {
  const end = words.indexOf('&&')
  if (end === -1) return words.length > 0 ? [words] : []
  return [words.slice(0, end), ...splitWords(words.slice(end + 1))]
}

function readWords(line: string, variables: ReadonlyMap<string, string>): string[] {
  const words: string[] = []
  for (const [word, double, single] of line.matchAll(/"([^"]*)"|'([^']*)'|[^\s"']+/g)) {
    if (word.startsWith('#')) break
    if (double !== undefined || single !== undefined) words.push(double ?? single ?? '')
    // What a variable holds is split into words, as a shell does without quotes.
    else
      words.push(
        ...word
          .replace(/\$(\w+)/g, (_, name) => variables.get(name) ?? '0')
          .split(' ')
          .filter(Boolean)
      )
  }
  return words
}
