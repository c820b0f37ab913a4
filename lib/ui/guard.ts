/** Access control of the live page. */

import { timingSafeEqual } from 'node:crypto'
import { hostname, networkInterfaces } from 'node:os'
import type { MiddlewareHandler } from 'hono'
import { outOfRange } from '../errors.js'

/** Content from this server only, and nothing inline. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join('; ')

const headers = {
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cache-control': 'no-store',
  // nginx would hold back the events.
  'x-accel-buffering': 'no'
}

const loopback = ['127.0.0.1', 'localhost', '[::1]']

/** The names under which a server on `host` may be requested; any other is a foreign name resolved to it (DNS rebinding). */
export function hostNames(host: string): string[] {
  const bracketed = (address: string) => (address.includes(':') ? `[${address}]` : address)
  const everywhere = host === '0.0.0.0' || host === '::'
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? [])
  const names = everywhere ? [hostname(), ...addresses] : [host]
  return [...loopback, ...names.map((name) => bracketed(name.toLowerCase()))]
}

/** `localhost` for `localhost:8080` */
const nameOf = (host: string) => host.toLowerCase().replace(/:\d+$/, '')

const equal = (a: string, b: string) => {
  const [one, other] = [Buffer.from(a), Buffer.from(b)]
  return one.length === other.length && timingSafeEqual(one, other)
}

/**
 * The origin of an address under which a proxy shows the page.
 * @throws {RangeError} for anything but an http or https address
 */
export function parseOrigin(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : null
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw outOfRange('origins', 'addresses such as https://example.org', address)
  }
  return url.origin
}

/**
 * Admits requests with the token and one of the names; all but GET must come from the page itself.
 * @param origins - of proxies that show the page: they count as the page itself, and their hosts as its names
 */
export function guard(token: string, names: readonly string[], origins: readonly string[] = []): MiddlewareHandler {
  const allowed = [...names, ...origins.map((origin) => nameOf(new URL(origin).host))]
  return async (context, next) => {
    const refuse = (status: 403 | 404, text: string) => context.text(text, status, headers)
    const host = context.req.header('host') ?? ''
    if (!allowed.includes(nameOf(host))) {
      return refuse(
        403,
        `Unknown host name ${host}. Behind a proxy, name the page's address by --ui-origin https://${host}`
      )
    }
    const [, given = ''] = context.req.path.split('/')
    if (!equal(given, token)) return refuse(404, 'Not found')
    const origin = context.req.header('origin')
    const foreign = origin !== undefined && origin !== `http://${host}` && !origins.includes(origin)
    if (context.req.method !== 'GET' && foreign) {
      return refuse(403, `Unknown origin ${origin}. Behind a proxy, name the page's address by --ui-origin ${origin}`)
    }
    await next()
    for (const [name, value] of Object.entries(headers)) context.res.headers.set(name, value)
  }
}
