/** Turns what documentation shows into work of seconds: the same commands and calls on a few photographs, for two steps, by networks of one block. */

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

const training = '--steps 2 --batch 4 --micro-batch 2'

/** Flags that commands get besides. */
const additions: Record<string, string> = {
  'train tokenizer': `${training} --grid.images 2 --tokenizer.encoder.depth 1 --tokenizer.decoder.depth 1`,
  'train generator': `${training} --grid.steps 2 --generator.depth 1`,
  sample: '--steps 2',
  compare: '--count 2'
}

/** A command of mactok, without its name, at a size for tests: by one process, and in the folder of the test. */
export function shrinkCommand(words: readonly string[]): string[] {
  if (words[0] === 'launch') return shrinkCommand(words.slice(words.indexOf('--') + 1))
  const isEstimate = words[0] === 'estimate'
  const smaller = words.map((word, i) => {
    const value = values[words[i - 1] ?? ''] ?? word.replace(/^\/(data|shared)\//, '')
    return isEstimate ? word : (presets[value] ?? value)
  })
  const extra =
    Object.entries(additions)
      .find(([name]) => words.join(' ').startsWith(name))?.[1]
      .split(' ') ?? []
  return [...smaller, ...(words.includes('--resume') ? [] : extra)]
}

const tokenizer = { preset: 'tiny-64', batch: 4, tokenizer: { encoder: { depth: 1 }, decoder: { depth: 1 } } }
const generator = { preset: 'sit-tiny', batch: 4, generator: { depth: 1 }, grid: { steps: 2 } }

/** TypeScript at a size for tests. */
export const shrinkProgram = (code: string): string =>
  code
    .replace(/trainTokenizer\('[\w-]+'\)/g, `trainTokenizer(${JSON.stringify(tokenizer)})`)
    .replace(/trainGenerator\('[\w-]+'\)/g, `trainGenerator(${JSON.stringify(generator)})`)
    .replace(/\bsteps: [\d_]+/g, 'steps: 2')
    .replace(/\.sample\(\{|sampleImages\([^{]*\{/g, '$& steps: 2,')
    .replace(/\bcount: \d+/g, 'count: 4')
    .replace(/\bheldOut: \d+/g, 'heldOut: 2')
