/** Profiles some steps of a loop and writes what they took. */

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { readProfile } from './profile.js'
import type { ProfileConfig } from './schema.js'
import { profileTable } from './table.js'
import { chromeTrace } from './trace.js'

/** A profile that was written. */
export interface ProfileFiles {
  /** Chrome's trace format. */
  trace: string
  /** Markdown: phases, all operations, and those of each phase. */
  table: string
  /** The heads of these tables. */
  text: string
}

export class Recording {
  readonly #asked: number
  readonly #first: number
  readonly #last: number
  #state: 'waiting' | 'recording' | 'over' = 'waiting'

  /**
   * Where the loop is too short, fewer steps are profiled, and after fewer that warm up; a notice says so.
   * @param config - null: nothing is profiled
   */
  constructor(
    config: ProfileConfig | null,
    private readonly options: {
      /** Steps done before the loop, and the step that it stops after. */
      start: number
      stop: number
      device: string
      /** Where `profile/` is made. */
      dir: string
      done(files: ProfileFiles): void
      notice(message: string): void
    }
  ) {
    const { start, stop, notice } = options
    const available = stop - start
    const after = Math.max(0, Math.min(config?.after ?? 0, available - 1))
    this.#asked = Math.min(config?.steps ?? 0, available - after)
    this.#first = start + after
    this.#last = this.#first + this.#asked - 1
    if (!config || available === 0) this.#state = 'over'
    if (config && available === 0) notice('Nothing is profiled: no step is left to do')
    else if (config && available < config.after + config.steps) {
      notice(`${counted(available)} to do: profiling ${this.#asked} of them, after ${after} that warm up`)
    }
  }

  /** Runs a step, which the engine does as step `number`. */
  async step(number: number, run: () => Promise<void>): Promise<void> {
    if (this.#state === 'over') return run()
    await Promise.all([this.#begin(number), run()])
    if (number >= this.#last) await this.end()
  }

  /** The step before tells when the wait for the first one began. */
  async #begin(number: number): Promise<void> {
    if (this.#state !== 'waiting' || number < this.#first - 1) return
    this.#state = 'recording'
    try {
      await native(addon().startProfile(this.options.device))
    } catch (error) {
      this.#state = 'over'
      this.options.notice(`Nothing is profiled: ${(error as Error).message}`)
    }
  }

  /** Writes what was recorded; a loop that ends early calls it too. */
  async end(): Promise<void> {
    const { device, dir, done, notice } = this.options
    const state = this.#state
    this.#state = 'over'
    const recorded = state === 'recording' ? await native(addon().stopProfile(device)) : null
    const profile = recorded && readProfile(recorded, this.#first, this.#last)
    if (state !== 'over' && !profile)
      notice(`Nothing is profiled: the run ended before step ${this.#first + 1} was done`)
    if (!profile) return
    if (profile.steps < this.#asked) notice(`Profiled ${counted(profile.steps)} of ${this.#asked}: the run ended`)
    const folder = join(dir, 'profile')
    await mkdir(folder, { recursive: true })
    const [trace, table] = [join(folder, 'trace.json'), join(folder, 'table.md')]
    await writeFile(trace, chromeTrace(profile, { device }))
    await writeFile(table, profileTable(profile, { device, most: 40, each: true }))
    done({ trace, table, text: profileTable(profile, { device, most: 12, each: false }) })
  }
}

const counted = (steps: number) => `${steps} step${steps === 1 ? '' : 's'}`
