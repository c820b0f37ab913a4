// llms.txt (llmstxt.org) lists the pages for readers that are programs, each as its Markdown; llms-full.txt has all of them in one file.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const summary =
  'Continuous one-dimensional image tokenizers (MacTok) and the generators on their latents, for Node and Electron, on LibTorch.'

/** @typedef {{ text: string, file: string }} Page */

/**
 * @param {import('./sidebar.js').Item} item
 * @returns {Page[]} an item's page and those below it
 */
const listPages = ({ text, link, items = [] }) => [
  ...(link ? [{ text, file: `${link.slice(1)}${link.endsWith('/') ? 'index' : ''}.md` }] : []),
  ...items.flatMap(listPages)
]

/** A page's first sentence, without links and emphasis. @param {string} markdown */
function describePage(markdown) {
  const paragraphs = markdown.replace(/^(---|```)[\s\S]*?^\1$/gm, '').split(/\n\n+/)
  const first = paragraphs.find((paragraph) => /^[\p{L}*`[]/u.test(paragraph)) ?? ''
  const text = first
    .replace(/\[([^\]]+)\]\([^)]+\)/g, '$1')
    .replace(/[*`]/g, '')
    .replace(/\s+/g, ' ')
  return (/^.*?\.(?= |$)/.exec(text)?.[0] ?? text).replace(/:$/, '.')
}

/**
 * Writes both files and the Markdown of the pages that the sidebar lists.
 * @param {import('./sidebar.js').Item[]} sidebar
 * @param {{ srcDir: string, outDir: string, site: { base: string } }} site
 */
export function writeLlms(sidebar, { srcDir, outDir, site }) {
  /** @param {Page} page */
  const read = ({ file }) => readFileSync(join(srcDir, file), 'utf8')
  /** @param {Page} page */
  const isSymbol = ({ file }) => /^reference\/api\/.+\//.test(file)
  /** @param {Page} page */
  const listItem = (page) => `- [${page.text}](${site.base}${page.file}): ${describePage(read(page))}`
  const sections = sidebar.map(({ text, items = [] }) => ({ text, pages: items.flatMap(listPages) }))
  const pages = sections.flatMap(({ pages }) => pages)
  for (const { file } of pages) {
    mkdirSync(dirname(join(outDir, file)), { recursive: true })
    copyFileSync(join(srcDir, file), join(outDir, file))
  }
  const lists = sections.map(({ text, pages }) =>
    [`## ${text}\n`, ...pages.filter((page) => !isSymbol(page)).map(listItem)].join('\n')
  )
  writeFileSync(join(outDir, 'llms.txt'), `# mactok\n\n> ${summary}\n\n${lists.join('\n\n')}\n`)
  writeFileSync(join(outDir, 'llms-full.txt'), pages.map(read).join('\n'))
}
