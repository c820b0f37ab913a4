import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { slug } from '../../docs/.vitepress/slug.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const inDocs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))
const others = [
  'README.md',
  'CHANGELOG.md',
  'bench/README.md',
  'examples/browser/README.md',
  'examples/cifar10/README.md',
  'examples/electron/README.md',
  'examples/interchange/README.md',
  'examples/photos.md'
]
const pages = [...others, 'test/golden/README.md', ...inDocs.map((name) => `docs/${name}`)]

/** Markdown without its blocks of code. */
const readProse = (page: string) => readFileSync(join(root, page), 'utf8').replace(/^```[\s\S]*?^```$/gm, '')

/** The anchors that GitHub gives a page's headings. */
const listAnchors = (page: string) =>
  [...readProse(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => slug(heading))

/** Relative targets of links and images. */
const listLinks = (page: string) =>
  [...readProse(page).matchAll(/\]\(([^)\s]+)\)|<img src="([^"]+)"/g)]
    .map(([, link, image]) => link ?? image ?? '')
    .filter((target) => !/^\w+:/.test(target))

const isDead = (page: string, link: string) => {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? page : relative(root, join(root, dirname(page), path))
  return !existsSync(join(root, target)) || (anchor !== undefined && !listAnchors(target).includes(anchor))
}

describe.each(pages)('%s', (page) => {
  test('has no dead relative link', () => {
    expect(listLinks(page).filter((link) => isDead(page, link))).toEqual([])
  })
})

test('every figure is shown on a page', () => {
  const shown = pages.flatMap((page) => listLinks(page).map((link) => relative(root, join(root, dirname(page), link))))
  const figures = readdirSync(join(root, 'docs', 'figures')).map((name) => join('docs', 'figures', name))
  expect(figures.filter((figure) => !shown.includes(figure))).toEqual([])
})
