/** Module hooks that add istanbul's counters to the compiled library, and read its files without threads. */

import { fileURLToPath } from 'node:url'
// @ts-expect-error It has no types.
import { createInstrumenter } from 'istanbul-lib-instrument'

const dist = new URL('../../dist/', import.meta.url).href
/** What reads files; instrumenting everything that it imports would take longer than a quick run. */
const parts =
  /^(weights|files|data|latents|runs|config|cli\/config-file|report\/(inspect|run-folder)|tokenizer\/folder)\b/

/** @type {import('node:module').ResolveHook} */
export async function resolve(specifier, context, next) {
  const isOurs = specifier === 'node:fs/promises' && context.parentURL?.startsWith(dist)
  return next(isOurs ? new URL('sync-files.mjs', import.meta.url).href : specifier, context)
}

/** @type {import('node:module').LoadHook} */
export async function load(url, context, next) {
  const loaded = await next(url, context)
  if (!parts.test(url.slice(dist.length)) || !url.startsWith(dist) || loaded.format !== 'module') return loaded
  const instrumenter = createInstrumenter({ esModules: true, compact: true })
  return { ...loaded, source: instrumenter.instrumentSync(String(loaded.source), fileURLToPath(url)) }
}
