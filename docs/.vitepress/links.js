// Links that leave docs/ work on GitHub; on the site they lead to the page's copy, to the repository, or are plain text.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const docs = join(root, 'docs')
const { repository } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const repositoryUrl = (repository?.url ?? '').replace(/^git\+/, '').replace(/\.git$/, '')

/**
 * Where a link of a page leads on the site; null where it leads nowhere there.
 * @param {string} page its file, relative to docs/
 * @param {string} href
 */
function resolveLink(page, href) {
  if (/^(\w+:|#|\/)/.test(href)) return href
  const [path = '', anchor] = href.split('#')
  const origin = originOf(page)
  const target = posix.normalize(posix.join(dirname(origin), path)).replace(/\/$/, '')
  const suffix = anchor === undefined ? '' : `#${anchor}`
  if (target.startsWith('docs/reference/') || (target.startsWith('docs/') && /\.(md|png|svg)$/.test(target))) {
    return `/${target.slice('docs/'.length)}${suffix}`
  }
  if (target === 'README.md') return `/index.md${suffix}`
  if (target === 'CHANGELOG.md') return `/reference/changelog.md${suffix}`
  const example = /^examples\/(\w+)(\/README\.md)?$/.exec(target)?.[1]
  if (example && existsSync(join(docs, 'reference', 'examples', `${example}.md`)))
    return `/reference/examples/${example}.md`
  return repositoryUrl ? `${repositoryUrl}/blob/main/${target}${suffix}` : null
}

/** The place of a page's image relative to the page, which may be a copy. @param {string} page @param {string} src */
function resolveImage(page, src) {
  if (/^(\w+:|\/)/.test(src)) return src
  const target = posix.join('/', dirname(originOf(page)), src)
  const place = posix.relative(posix.join('/docs', dirname(page)), target)
  return place.startsWith('.') ? place : `./${place}`
}

/** The file that a page was copied from, relative to the root. @param {string} page */
function originOf(page) {
  if (page === 'reference/changelog.md') return 'CHANGELOG.md'
  const example = /^reference\/examples\/(\w+)\.md$/.exec(page)?.[1]
  return example ? `examples/${example}/README.md` : `docs/${page}`
}

/** Resolves all links of Markdown. @param {import('markdown-it').default} md */
export function resolveLinks(md) {
  md.core.ruler.push('links-of-the-repository', (state) => {
    // Files that the site includes and that are no page have no path.
    const page = relative(docs, state.env.path ?? '')
    for (const block of state.tokens) {
      let isText = false
      for (const token of block.children ?? []) {
        if (token.type === 'link_close' && isText) {
          Object.assign(token, { type: 'em_close', tag: 'span' })
          isText = false
        }
        if (token.type === 'image') token.attrSet('src', resolveImage(page, token.attrGet('src') ?? ''))
        if (token.type !== 'link_open') continue
        const target = resolveLink(page, token.attrGet('href') ?? '')
        if (target !== null) token.attrSet('href', target)
        else Object.assign(token, { type: 'em_open', tag: 'span', attrs: [] })
        isText = target === null
      }
    }
  })
}
