// The page's files, and nothing else, under a policy that lets the page run its own scripts and styles alone.
import { readFile } from 'node:fs/promises'

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join('; ')

const types = { html: 'text/html', css: 'text/css', mjs: 'text/javascript' }

/** @param {string} pathname of the address, such as `/style.css` */
export async function respond(pathname) {
  const name = pathname === '/' ? 'index.html' : pathname.slice(1)
  // Names have no folders in them.
  const [, extension] = /^[a-z]+\.(html|css|mjs)$/.exec(name) ?? []
  if (extension === undefined) return new Response(null, { status: 404 })
  const bytes = await readFile(new URL(`page/${name}`, import.meta.url)).catch(() => null)
  if (bytes === null) return new Response(null, { status: 404 })
  const type = types[/** @type {keyof typeof types} */ (extension)]
  return new Response(bytes, {
    headers: { 'content-type': `${type}; charset=utf-8`, 'content-security-policy': policy }
  })
}
