/** Versions, devices, threads, memory and profiles. */

/** A CUDA device's memory in bytes. */
export interface DeviceMemory {
  /** Active: held by this process's tensors. */
  allocated: number
  /** The maximum of `allocated` so far. */
  peak: number
  /** Held by LibTorch's caching allocator. */
  reserved: number
  /** Of the whole device, over all processes. */
  free: number
  total: number
}

/** Spans of host time: LibTorch's operations and autograd nodes by name, `step`s, and phases (`phase:NAME`). */
export interface NativeProfile {
  names: string[]
  /** [n, 5], in the order of their ends: index of the name, thread, number of the step, begin and end in µs. */
  spans: Float64Array
}

export interface SystemFunctions {
  /** Versions, capabilities and devices for `doctor`. */
  info(): {
    /** LibTorch's version at compile time. */
    builtAgainst: string
    /** The instruction set of LibTorch's CPU kernels, such as AVX512. */
    cpuCapability: string
    threads: number
    /** Whether the CPU multiplies bfloat16 in hardware. */
    cpuBf16: boolean
    cuda: {
      available: boolean
      devices: number
      /** Why there are no devices. */
      reason: string
      /** By device, 90 for sm_90; 0 where it is unknown, as without libmactok_cuda. */
      capabilities: number[]
      /** Why libmactok_cuda is not loaded; empty when it is, and without devices. */
      libraryProblem: string
    }
    /** Apple's GPU, and why there is none. */
    mps: { available: boolean; reason: string }
  }
  setThreads(count: number): void
  /** Live tensor handles of this environment, the bytes that they share (each storage once), and the networks' bytes. */
  memory(): { tensors: number; bytes: number; modelBytes: number }
  /** Null for the CPU, and without libmactok_cuda beside the addon. */
  deviceMemory(device: string): Promise<DeviceMemory | null>
  /** Starts recording all threads once the device's queued jobs are done. One profile at a time per process. */
  startProfile(device: string): Promise<void>
  stopProfile(device: string): Promise<NativeProfile>
}
