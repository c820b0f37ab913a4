import { AsyncLocalStorage } from 'node:async_hooks'
import { callback } from '../checks.js'

const current = new AsyncLocalStorage<Set<Disposable>>()

/** Registers a resource with the innermost running scope, if any. */
export const track = (resource: Disposable): void => {
  current.getStore()?.add(resource)
}

const isDisposable = (value: unknown): value is Disposable =>
  typeof value === 'object' && value !== null && Symbol.dispose in value

/** The disposable values in a scope's result: itself, or those in an array or a plain object. */
function resourcesIn(result: unknown): Disposable[] {
  if (isDisposable(result)) return [result]
  if (Array.isArray(result)) return result.flatMap(resourcesIn)
  if (typeof result === 'object' && result !== null) return Object.values(result).filter(isDisposable)
  return []
}

function close(resources: Set<Disposable>, result?: unknown): void {
  for (const kept of resourcesIn(result)) {
    resources.delete(kept)
    track(kept)
  }
  for (const resource of resources) resource[Symbol.dispose]()
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

/** What a scope gives: a promise where its body gives one, or an expression or any other thenable. */
type Scoped<T> = T extends PromiseLike<infer U> ? Promise<U> : T

/**
 * Runs `body` and disposes every tensor that it creates, except those in its result (a tensor, or an array or plain
 * object of tensors). Works with synchronous and asynchronous bodies; scopes nest.
 */
export function scope<T>(body: () => T): Scoped<T> {
  callback('body', body)
  const resources = new Set<Disposable>()
  const outer = current.getStore()
  const end = (result?: unknown) => current.run(outer as Set<Disposable>, () => close(resources, result))
  let result: T
  try {
    result = current.run(resources, body)
  } catch (error) {
    end()
    throw error
  }
  if (!isThenable(result)) {
    end(result)
    return result as Scoped<T>
  }
  return Promise.resolve(result).then(
    (value) => {
      end(value)
      return value
    },
    (error) => {
      end()
      throw error
    }
  ) as Scoped<T>
}
