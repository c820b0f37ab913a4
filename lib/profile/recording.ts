/** Profiles some steps of a loop and writes the results. */

import { join } from 'node:path'
import { writeText } from '../files/atomic.js'
import { makeFolder } from '../files/make-folder.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { readProfile } from './profile.js'
import type { ProfileConfig } from './schema.js'
import { profileTable } from './table.js'
import { chromeTrace } from './trace.js'

/** The files of a profile. */
export interface ProfileFiles {
  /** Chrome's trace format. */
  trace: string
  /** Markdown: phases, all operations, and the operations of each phase. */
  table: string
  /** The heads of these tables, as text. */
  text: string
}

export class Recording {
  readonly #requested: number
  readonly #first: number
  readonly #last: number
  #state: 'waiting' | 'recording' | 'over' = 'waiting'

  /**
   * If the loop is too short, fewer steps warm up and are profiled; a notice says so.
   * @param config - null: nothing is profiled
   */
  constructor(
    config: ProfileConfig | null,
    private readonly options: {
      /** Steps done before the loop, and the step after which it stops. */
      start: number
      stop: number
      device: string
      /** The folder in which `profile/` is created. */
      dir: string
      done(files: ProfileFiles): void
      notice(message: string): void
    }
  ) {
    const { start, stop, notice } = options
    const available = stop - start
    const after = Math.max(0, Math.min(config?.after ?? 0, available - 1))
    this.#requested = Math.min(config?.steps ?? 0, available - after)
    this.#first = start + after
    this.#last = this.#first + this.#requested - 1
    if (!config || available === 0) this.#state = 'over'
    if (config && available === 0) notice('Nothing is profiled: no steps are left')
    else if (config && available < config.after + config.steps) {
      notice(`Only ${counted(available)} left: profiling ${this.#requested} after ${after} of warm-up`)
    }
  }

  /** Runs step `number` of the engine, profiled if it is one of the steps to profile. */
  async step(number: number, run: () => Promise<void>): Promise<void> {
    if (this.#state === 'over') return run()
    await Promise.all([this.#begin(number), run()])
    if (number >= this.#last) await this.end()
  }

  /** Starts at the step before the first, which shows when the wait for the first one began. */
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

  /** Stops and writes the profile, or says why not: no training ends for it. Called early if the loop ends early. */
  async end(): Promise<void> {
    const { done, notice } = this.options
    try {
      const files = await this.#write()
      if (files) done(files)
    } catch (error) {
      notice(`The profile was not written: ${(error as Error).message}`)
    }
  }

  /** Null where nothing was recorded. */
  async #write(): Promise<ProfileFiles | null> {
    const { device, dir, notice } = this.options
    const state = this.#state
    this.#state = 'over'
    const recorded = state === 'recording' ? await native(addon().stopProfile(device)) : null
    const profile = recorded && readProfile(recorded, this.#first, this.#last)
    if (state !== 'over' && !profile) notice(`Nothing is profiled: the run ended before step ${this.#first + 1}`)
    if (!profile) return null
    if (profile.steps < this.#requested)
      notice(`Profiled ${counted(profile.steps)} of ${this.#requested}: the run ended`)
    const folder = join(dir, 'profile')
    await makeFolder(folder)
    const [trace, table] = [join(folder, 'trace.json'), join(folder, 'table.md')]
    await writeText(trace, chromeTrace(profile, { device }))
    await writeText(table, profileTable(profile, { device, most: 40, each: true }))
    return { trace, table, text: profileTable(profile, { device, most: 12, each: false }) }
  }
}

const counted = (steps: number) => `${steps} step${steps === 1 ? '' : 's'}`
