/** Turns what documentation shows into work of seconds: the same commands and calls on eight photographs, for two steps. */

const presets: Record<string, string> = {
  'mactok-b-256-128': 'tiny-64',
  'mactok-b-256-64': 'tiny-64',
  'sit-xl': 'sit-tiny'
}

/** Values that replace those of flags. */
const values: Record<string, string> = {
  '--steps': '2',
  '--stop-at': '1',
  '--batch': '4',
  '--micro-batch': '2',
  '--count': '4',
  '--data.held-out': '2',
  '--every': '2'
}

/** Flags that commands get besides. */
const additions: Record<string, readonly string[]> = {
  'train tokenizer': ['--steps', '2', '--batch', '4', '--micro-batch', '2', '--grid.images', '2'],
  'train generator': ['--steps', '2', '--batch', '4', '--micro-batch', '2', '--grid.steps', '2'],
  sample: ['--steps', '2'],
  compare: ['--count', '2']
}

/** A command of mactok, without its name, at a size for tests: by one process, and in the folder of the test. */
export function shrinkCommand(words: readonly string[]): string[] {
  if (words[0] === 'launch') return shrinkCommand(words.slice(words.indexOf('--') + 1))
  const isEstimate = words[0] === 'estimate'
  const smaller = words.map((word, i) => {
    const value = values[words[i - 1] ?? ''] ?? word.replace(/^\/(data|shared)\//, '')
    return isEstimate ? word : (presets[value] ?? value)
  })
  const extra = Object.entries(additions).find(([name]) => words.join(' ').startsWith(name))?.[1] ?? []
  return [...smaller, ...(words.includes('--resume') ? [] : extra)]
}

/** TypeScript at a size for tests. */
export const shrinkProgram = (code: string): string =>
  code
    .replace(/trainTokenizer\('[\w-]+'\)/g, "trainTokenizer({ preset: 'tiny-64', batch: 4 })")
    .replace(/trainGenerator\('[\w-]+'\)/g, "trainGenerator({ preset: 'sit-tiny', batch: 4, grid: { steps: 2 } })")
    .replace(/\bsteps: [\d_]+/g, 'steps: 2')
    .replace(/\.sample\(\{|sampleImages\([^{]*\{/g, '$& steps: 2,')
    .replace(/\bcount: \d+/g, 'count: 4')
