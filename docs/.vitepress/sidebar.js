import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const docs = fileURLToPath(new URL('..', import.meta.url))

/** @typedef {{ text: string, link?: string, items?: Item[], collapsed?: boolean }} Item */

/** A page of docs/ under its heading. @param {string} name @returns {Item} */
const page = (name) => ({
  text: /^# (.+)$/m.exec(readFileSync(join(docs, `${name}.md`), 'utf8'))?.[1]?.replaceAll('`', '') ?? name,
  link: `/${name}`
})

/** The pages of a generated folder. @param {string} folder @returns {Item[]} */
const pagesIn = (folder) =>
  existsSync(join(docs, folder))
    ? readdirSync(join(docs, folder))
        .filter((name) => name.endsWith('.md') && name !== 'index.md')
        .map((name) => name.slice(0, -3))
        .sort((a, b) => a.localeCompare(b))
        .map((name) => ({ text: name, link: `/${folder}/${name}` }))
    : []

/** @returns {(Item & { items: Item[] })[]} */
export const sidebar = () => [
  { text: 'Start', items: [{ text: 'Overview', link: '/' }, page('start'), page('install'), page('concepts')] },
  { text: 'Use', items: [page('training'), page('guide'), page('recipes'), page('gallery'), page('troubleshooting')] },
  {
    text: 'Reference',
    items: [
      { ...page('reference/cli/index'), collapsed: true, items: pagesIn('reference/cli').map(withSpaces) },
      page('api'),
      {
        text: 'API, symbol by symbol',
        link: '/reference/api/',
        collapsed: true,
        items: ['classes', 'functions', 'interfaces', 'type-aliases', 'variables'].map((kind) => ({
          text: kind.replace('-', ' '),
          collapsed: true,
          items: pagesIn(`reference/api/${kind}`)
        }))
      },
      page('formats'),
      page('method'),
      ...pagesIn('reference/examples').map(({ link = '' }) => page(link.slice(1)))
    ]
  },
  {
    text: 'Measured',
    collapsed: true,
    items: [page('results'), page('benchmarks'), page('scaling'), page('gpu'), page('reliability')]
  },
  {
    text: 'Project',
    collapsed: true,
    items: [
      page('architecture'),
      page('decisions'),
      page('dependencies'),
      page('libtorch'),
      page('security'),
      page('contributing'),
      page('reference/changelog')
    ]
  }
]

/** @param {Item} item @returns {Item} */
const withSpaces = (item) => ({ ...item, text: item.text.replaceAll('-', ' ') })
