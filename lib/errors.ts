import { inspect } from 'node:util'

/** The kind of a failure. Codes are stable across versions; messages may change. */
export type MactokErrorCode =
  /** The addon or LibTorch was not found, is of another version, or did not load. */
  | 'ERR_NATIVE_LOAD'
  /** LibTorch rejected an operation. */
  | 'ERR_LIBTORCH'
  /** Another failure in native code. */
  | 'ERR_NATIVE'
  | 'ERR_OUT_OF_MEMORY'
  /** A tensor, model or trainer was used after dispose(). */
  | 'ERR_DISPOSED'
  /** A file or folder is missing, damaged, or of another format. */
  | 'ERR_FORMAT'
  /** A download failed, or its checksum is wrong. */
  | 'ERR_DOWNLOAD'
  /** An upload failed or was refused. */
  | 'ERR_UPLOAD'
  /** Loss, gradients or results are not finite. */
  | 'ERR_DIVERGED'
  /** Another process writes the folder. */
  | 'ERR_IN_USE'
  /** A listener of a training's events failed; its error is the cause. */
  | 'ERR_LISTENER'
  /** Another rank of the job is lost, stuck or has failed, or the ranks do not fit together. */
  | 'ERR_DISTRIBUTED'
  /** Stopped by an AbortSignal. */
  | 'ERR_ABORTED'

/** Any failure but a wrong argument; those are TypeErrors and RangeErrors. */
export class MactokError extends Error {
  readonly code: MactokErrorCode

  constructor(code: MactokErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'MactokError'
    this.code = code
  }
}

/** A TypeError such as `Expected a positive integer for steps but received 'many' of type string`. */
export function invalidParameter(name: string, expected: string, actual: unknown): TypeError {
  return new TypeError(describe(name, expected, actual))
}

/** The same for a value of the right type that is out of range, as a RangeError. */
export function outOfRange(name: string, expected: string, actual: unknown): RangeError {
  return new RangeError(describe(name, expected, actual))
}

function describe(name: string, expected: string, actual: unknown): string {
  const shown = inspect(actual, { depth: 1, maxArrayLength: 4, maxStringLength: 80, breakLength: Infinity })
  const type = actual === null || actual === undefined ? '' : ` of type ${typeof actual}`
  return `Expected ${expected} for ${name} but received ${shown}${type}`
}
