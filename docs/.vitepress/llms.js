// llms.txt (llmstxt.org): the pages for readers that are programs, each as its Markdown; llms-full.txt: all of them in one file.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const summary =
  'Continuous one-dimensional image tokenizers (MacTok) and the generators on their latents, for Node and Electron, on LibTorch.'

/**
 * @param {import('./sidebar.js').Item[]} sidebar
 * @param {{ srcDir: string, outDir: string, site: { base: string } }} site
 */
export function writeLlms(sidebar, { srcDir, outDir, site }) {
  /** @param {import('./sidebar.js').Item} item @returns {{ text: string, file: string }[]} */
  const list = ({ text, link, items = [] }) => [
    ...(link ? [{ text, file: `${link.slice(1)}${link.endsWith('/') ? 'index' : ''}.md` }] : []),
    ...items.flatMap(list)
  ]
  const read = (file) => readFileSync(join(srcDir, file), 'utf8')
  const sections = sidebar.map(({ text, items = [] }) => ({ text, pages: items.flatMap(list) }))
  const pages = sections.flatMap(({ pages }) => pages)
  for (const { file } of pages) {
    mkdirSync(dirname(join(outDir, file)), { recursive: true })
    copyFileSync(join(srcDir, file), join(outDir, file))
  }
  const isSymbol = ({ file }) => /^reference\/api\/.+\//.test(file)
  const lists = sections.map(({ text, pages }) =>
    [`## ${text}\n`, ...pages.filter((page) => !isSymbol(page)).map(({ text, file }) => `- [${text}](${site.base}${file})`)].join('\n')
  )
  writeFileSync(join(outDir, 'llms.txt'), `# mactok\n\n> ${summary}\n\n${lists.join('\n\n')}\n`)
  writeFileSync(join(outDir, 'llms-full.txt'), pages.map(({ file }) => read(file)).join('\n'))
}
