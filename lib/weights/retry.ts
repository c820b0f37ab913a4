import { setTimeout as sleep } from 'node:timers/promises'
import { MactokError, type MactokErrorCode } from '../errors.js'

export interface RetryOptions {
  signal?: AbortSignal | undefined
  /** Attempts without any progress before giving up. */
  attempts: number
  /** Milliseconds before the second attempt; doubled for each further one, up to 30 s. */
  retryDelay: number
}

/** What is retried, for messages, and the code of its failure: `{ action: 'Fetching x', code: 'ERR_DOWNLOAD' }`. */
interface Retried {
  action: string
  code: MactokErrorCode
}

/** What to do where a proxy is named that Node does not use. */
function adviseOnProxy(): string {
  const { HTTPS_PROXY, https_proxy = HTTPS_PROXY, NODE_USE_ENV_PROXY } = process.env
  if (!https_proxy || NODE_USE_ENV_PROXY === '1') return ''
  return '; HTTPS_PROXY is set, but Node uses it only with NODE_USE_ENV_PROXY=1 (Node 22.21, or 24 and newer)'
}

/**
 * Retries until success, a `MactokError`, or `attempts` failures in a row without progress.
 * @throws {MactokError} `ERR_ABORTED`, or with the code given
 */
export async function retry<T>(
  { action, code }: Retried,
  { signal, attempts, retryDelay }: RetryOptions,
  run: () => Promise<T>,
  hasProgressed: () => boolean = () => false
): Promise<T> {
  for (let failures = 0; ; ) {
    try {
      signal?.throwIfAborted()
      return await run()
    } catch (error) {
      if (signal?.aborted) throw new MactokError('ERR_ABORTED', `${action} was aborted`, { cause: error })
      if (error instanceof MactokError) throw error
      failures = hasProgressed() ? 1 : failures + 1
      if (failures >= attempts) {
        // fetch reports only `fetch failed`; the reason is its cause.
        const { message: reason, cause } = error as Error & { cause?: { message?: string } }
        const advice = cause === undefined ? '' : adviseOnProxy()
        const message = `${action} failed ${failures} times in a row, last with: ${cause?.message ?? reason}${advice}`
        throw new MactokError(code, message, { cause: error })
      }
      // An abort while waiting is reported by the next round.
      await sleep(Math.min(retryDelay * 2 ** (failures - 1), 30_000), undefined, { signal }).catch(() => {})
    }
  }
}
