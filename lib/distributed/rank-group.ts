/** The ranks of a job that train together. */

import { availableParallelism } from 'node:os'
import { MactokError } from '../errors.js'
import type { NativeProcessGroup } from '../native/addon.js'
import { native } from '../native/errors.js'
import { addon } from '../native/load.js'
import { aloneRanks, type Ranks, ranksFromEnvironment } from './ranks.js'
import { rendezvousFromEnvironment } from './rendezvous.js'
import type { DistributedConfig } from './schema.js'

/** Every rank calls its methods in the same order. */
export class RankGroup {
  readonly ranks: Ranks
  readonly native: NativeProcessGroup
  /** Whether the ranks divide the trainer's state. */
  readonly sharded: boolean
  #isBusy = false

  private constructor(ranks: Ranks, group: NativeProcessGroup, sharded: boolean) {
    this.ranks = ranks
    this.native = group
    this.sharded = sharded
  }

  /**
   * Meets the other ranks.
   * @throws {MactokError} ERR_DISTRIBUTED when some are missing, or the address cannot be used
   */
  static async join(ranks: Ranks, { timeout, sharded }: DistributedConfig, device: string): Promise<RankGroup> {
    divideThreads(ranks)
    const { rank, worldSize: size } = ranks
    const place = rendezvousFromEnvironment(ranks)
    const milliseconds = Math.round(timeout * 1000)
    const group = await native(addon().openProcessGroup({ rank, size, ...place, timeout: milliseconds, device }))
    return new RankGroup(ranks, group, sharded)
  }

  /** The one rank that writes. */
  get isFirst(): boolean {
    return this.ranks.rank === 0
  }

  /**
   * The largest of the ranks' values, each; waits for all ranks.
   * @throws {MactokError} ERR_DISTRIBUTED when a rank is lost, stuck or has failed
   */
  agree(values: number[]): Promise<number[]> {
    return this.#wait(() => this.native.agree(values))
  }

  /**
   * Gives rank 0 the bytes of each rank, by rank, and the others none; null where no rank has any. Waits for all ranks.
   * @throws {MactokError} as `agree`
   */
  gather(bytes: Uint8Array): Promise<Uint8Array[] | null> {
    return this.#wait(() => this.native.gather(bytes))
  }

  /** Whoever waits is not busy: another rank may be stuck. */
  async #wait<T>(exchange: () => Promise<T>): Promise<T> {
    if (!this.#isBusy) return native(exchange())
    this.native.setBusy(false)
    try {
      return await native(exchange())
    } finally {
      this.native.setBusy(true)
    }
  }

  /** Waits for all ranks. */
  async meet(): Promise<void> {
    await this.agree([0])
  }

  /** @throws {MactokError} ERR_DISTRIBUTED when the ranks have different values of what they must have in common */
  async requireSame(what: string, value: number): Promise<void> {
    const [high, low] = (await this.agree([value, -value])) as [number, number]
    if (high === -low) return
    const { rank, worldSize } = this.ranks
    const seen = `rank ${rank} of ${worldSize} has ${value}, and others have ${-low} to ${high}`
    throw new MactokError('ERR_DISTRIBUTED', `The ranks differ in ${what}: ${seen}. Give all of them the same files`)
  }

  /** Does something that takes longer than the timeout, perhaps, and that the others wait for. */
  async busy<T>(work: () => Promise<T>): Promise<T> {
    this.#isBusy = true
    this.native.setBusy(true)
    try {
      return await work()
    } finally {
      this.#isBusy = false
      this.native.setBusy(false)
    }
  }

  /** Rank 0 does it while the others wait. */
  async onlyFirst(work: () => Promise<void>): Promise<void> {
    if (this.isFirst) await this.busy(work)
    await this.meet()
  }

  /** Runs `body` on all ranks; where it fails on one, it fails on all. */
  async run<T>(body: () => Promise<T>): Promise<T> {
    try {
      const result = await body()
      await this.meet()
      await native(this.native.leave())
      return result
    } catch (error) {
      await this.native.fail((error as Error).message).catch(() => {})
      throw error
    }
  }
}

/** The ranks that the environment names, unless this process is to work alone. */
export const chosenRanks = (settings: DistributedConfig | false): Ranks =>
  settings === false ? aloneRanks : ranksFromEnvironment()

/** The processes of one machine share its cores, unless the environment or the caller has decided. */
function divideThreads({ localSize }: Ranks): void {
  const { threads } = addon().info()
  if (localSize === 1 || process.env.OMP_NUM_THREADS || threads < availableParallelism()) return
  addon().setThreads(Math.max(1, Math.floor(threads / localSize)))
}
