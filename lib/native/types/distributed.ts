/** The ranks of a job. */

export interface NativeProcessGroupOptions {
  rank: number
  size: number
  /** Where the ranks meet: a new file that all see (LibTorch's FileStore); empty: an address. */
  file: string
  /** The address of LibTorch's TCPStore. */
  host: string
  port: number
  /** Whether this process holds the store, and whether it outlives the job, as a launcher's does. */
  holdsStore: boolean
  outlives: boolean
  /** Of keys in the store. */
  prefix: string
  /** Milliseconds: for the ranks to meet, for a silent rank, and for one that others wait for. */
  timeout: number
  /** The device whose tensors are reduced. */
  device: string
}

/** Every rank calls `agree`, `gather` and `leave` in the same order. */
export interface NativeProcessGroup {
  /** The largest of the ranks' values, each. Waits for all ranks; a rank that is lost or stuck rejects it. */
  agree(values: number[]): Promise<number[]>
  /** Gives rank 0 the bytes of each rank, by rank, and the others none; null where no rank has any. Waits likewise. */
  gather(bytes: Uint8Array): Promise<Uint8Array[] | null>
  /** Whether this rank does something long that the others wait for, which is no failure. */
  setBusy(isBusy: boolean): void
  /** Tells the other ranks that this one has failed: what they wait for rejects. */
  fail(reason: string): Promise<void>
  leave(): Promise<void>
}

export interface DistributedFunctions {
  openProcessGroup(options: NativeProcessGroupOptions): Promise<NativeProcessGroup>
}
