import { MactokError, type MactokErrorCode } from '../errors.js'

/** Codes of native errors (native/runtime/errors.h) and ours. */
const CODES: Record<string, MactokErrorCode> = {
  LIBTORCH: 'ERR_LIBTORCH',
  NATIVE: 'ERR_NATIVE',
  OUT_OF_MEMORY: 'ERR_OUT_OF_MEMORY',
  DISPOSED: 'ERR_DISPOSED',
  ABORTED: 'ERR_ABORTED'
}

/** Awaits a native promise; its errors become ours, with the stack of this call. */
export async function native<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise
  } catch (error) {
    throw fromNative(error)
  }
}

/** Converts a native error: LibTorch's become MactokErrors, wrong arguments TypeErrors; others stay as they are. */
export function fromNative(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error
  const native = String(error.code)
  if (native === 'INVALID_ARGUMENT') return new TypeError(error.message, { cause: error })
  const code = CODES[native]
  return code ? new MactokError(code, error.message, { cause: error }) : error
}
