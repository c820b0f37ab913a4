// Finds what VitePress's own check of links does not: links to files, and anchors, in the built pages.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/**
 * Lists the dead links within a built site.
 * @param {string} site its folder @param {string} base the path of the site on its host, such as `/`
 * @returns {string[]} `guide.html: figures/none.png`
 */
export function findDeadLinks(site, base) {
  const files = readdirSync(site, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.html'))
  const pages = new Map(files.map((name) => [join(site, name), readFileSync(join(site, name), 'utf8')]))
  const anchors = new Map([...pages].map(([file, html]) => [file, new Set(listMatches(html, / id="([^"]+)"/g))]))

  /** @param {string} file @param {string} link */
  const isDead = (file, link) => {
    const [path = '', anchor] = decodeURIComponent(link).split('#')
    const place = path.startsWith(base) ? join(site, path.slice(base.length)) : join(dirname(file), path)
    const target = path === '' ? file : isFolder(place) ? join(place, 'index.html') : place
    return !existsSync(target) || Boolean(anchor && anchors.has(target) && !anchors.get(target)?.has(anchor))
  }
  return [...pages].flatMap(([file, html]) =>
    [...new Set(listMatches(html, / (?:href|src)="([^"]+)"/g))]
      .filter((link) => !/^(\w+:|\/\/)/.test(link) && isDead(file, link))
      .map((link) => `${relative(site, file)}: ${link}`)
  )
}

/** @param {string} path */
const isFolder = (path) => existsSync(path) && statSync(path).isDirectory()

/** @param {string} html @param {RegExp} pattern */
const listMatches = (html, pattern) =>
  Array.from(html.matchAll(pattern), ([, found = '']) => found.replaceAll('&amp;', '&').replaceAll('&quot;', '"'))
