/** Typed listeners by event. */
export class Emitter<Events extends object> {
  readonly #listeners: { [Name in keyof Events]?: ((event: Events[Name]) => void)[] } = {}

  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): void {
    const listeners = this.#listeners[name] ?? []
    this.#listeners[name] = listeners
    listeners.push(listener)
  }

  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const listener of this.#listeners[name] ?? []) listener(event)
  }
}
