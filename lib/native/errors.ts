import { MactokError, type MactokErrorCode } from '../errors.js'

/** Codes of native errors (native/runtime/errors.h) and ours. */
const CODES: Record<string, MactokErrorCode> = {
  LIBTORCH: 'ERR_LIBTORCH',
  NATIVE: 'ERR_NATIVE',
  OUT_OF_MEMORY: 'ERR_OUT_OF_MEMORY',
  DISPOSED: 'ERR_DISPOSED',
  DISTRIBUTED: 'ERR_DISTRIBUTED',
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
  const message = code === 'ERR_OUT_OF_MEMORY' ? describeMemory(error.message) : error.message
  return code ? new MactokError(code, message, { cause: error }) : error
}

/** Says how much was requested, where LibTorch's allocators tell it, instead of the place in their source. */
function describeMemory(message: string): string {
  const [, size, unit] = /tried to allocate ([\d.]+) ?(bytes|[KMGT]iB)/i.exec(message) ?? []
  if (size === undefined || /CUDA/.test(message)) return message
  const requested = unit === 'bytes' ? `${(Number(size) / 2 ** 30).toPrecision(3)} GiB` : `${size} ${unit}`
  return `Out of memory: ${requested} were requested at once; try a smaller batch or model`
}
