/** What a user's environment says about the Hugging Face Hub; the variables are those of Python's `huggingface_hub`. */

import { homedir } from 'node:os'
import path from 'node:path'
import { text } from '../checks.js'
import { MactokError, outOfRange } from '../errors.js'
import { readText } from '../files/read.js'

const segment = /^(?!\.{1,2}$)[\w.-]+$/

/** @throws {TypeError | RangeError} for a name that is not `owner/name` */
export function checkRepository(repo: unknown): asserts repo is string {
  text('repo', 'a repository such as facebook/dinov2-small', repo)
  const parts = repo.split('/')
  if (parts.length !== 2 || !parts.every((part) => segment.test(part))) {
    throw outOfRange('repo', 'a repository such as facebook/dinov2-small', repo)
  }
}

/** Whether a path inside a repository stays inside of it. */
export const isRepositoryPath = (file: string): boolean => file.split('/').every((part) => segment.test(part))

/**
 * The server: the given one, else `HF_ENDPOINT`, else Hugging Face's.
 * @throws {RangeError} when it is no URL, one with a user or a password, which `fetch` refuses, or one without TLS on another machine, which
 *   could read the token
 */
export function hubEndpoint(given: string | undefined): string {
  const endpoint = (given ?? process.env.HF_ENDPOINT ?? 'https://huggingface.co').replace(/\/+$/, '')
  if (endpoint.includes('@')) {
    // Everything that may belong to the password stays out of the message.
    const shown = endpoint.replace(/^.*@/s, '…@')
    throw outOfRange('endpoint', 'an address without user and password (HF_TOKEN holds the access token)', shown)
  }
  if (!URL.canParse(endpoint)) throw outOfRange('endpoint', 'a URL', endpoint)
  const { protocol, hostname } = new URL(endpoint)
  const isHere = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)
  if (protocol !== 'https:' && !isHere) throw outOfRange('endpoint', 'an https address', endpoint)
  return endpoint
}

/** `HF_HOME`, else `huggingface` in the user's cache folder. */
const hubHome = (): string =>
  process.env.HF_HOME || path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'huggingface')

/** The folder in which Python keeps downloaded repositories: `HF_HUB_CACHE`, else `hub` in `HF_HOME`. */
export const hubCacheFolder = (): string => process.env.HF_HUB_CACHE || path.join(hubHome(), 'hub')

/**
 * The access token: the given one, else `HF_TOKEN`, else that of `hf auth login` (`HF_TOKEN_PATH`, else `token` in
 * `HF_HOME`). Undefined when there is none.
 * @throws {MactokError} `ERR_FORMAT` for a token that cannot be one; the message does not contain it
 */
export async function hubToken(given: string | undefined): Promise<string | undefined> {
  const file = process.env.HF_TOKEN_PATH || path.join(hubHome(), 'token')
  const stored = given || process.env.HF_TOKEN || ((await readText(file).catch(() => null)) ?? '')
  const token = stored.trim()
  if (token === '') return undefined
  // fetch would print the header.
  if (/^[\x21-\x7e]+$/.test(token)) return token
  const source = given ? 'The given access token' : process.env.HF_TOKEN ? 'HF_TOKEN' : file
  throw new MactokError('ERR_FORMAT', `${source} has spaces or characters that no access token has`)
}
