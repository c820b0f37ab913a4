import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** A block of code in Markdown. */
export interface Block {
  /** `docs/start.md:12` */
  place: string
  language: string
  code: string
  /** Why it cannot run in a test: the comment `<!-- not run: … -->` above it. */
  reason: string | undefined
}

const readBlocks = (page: string) => findBlocks(page, readFileSync(join(root, page), 'utf8'))

export function findBlocks(page: string, text: string): Block[] {
  const found = text.matchAll(/^(?:<!-- not run: (.+) -->\n)?```(\w+)\n([\s\S]*?)^```$/gm)
  return Array.from(found, ({ index, 1: reason, 2: language = '', 3: code = '' }) => {
    const line = text.slice(0, index).split('\n').length + (reason === undefined ? 0 : 1)
    return { place: `${page}:${line}`, language, code, reason }
  })
}

/** The blocks of README and docs/. Those of the start come first: later ones use what they make. */
export function listBlocks(): Block[] {
  const pages = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md') && name !== 'start.md')
  return ['docs/start.md', 'README.md', ...pages.map((name) => `docs/${name}`)].flatMap(readBlocks)
}
