// Every message between the page and the worker. Types alone: no process loads this file.

/** A folder of images, and what has been made of it so far. */
export interface Project {
  name: string
  images: number
  tokenizer: (Trained & { preset: Preset }) | null
  /** Encoded images. */
  latents: number | null
  generator: Trained | null
}

export type Preset = 'tiny-32' | 'tiny-64'

/** A run is resumed while `step` is less than `steps`. */
export interface Trained {
  step: number
  steps: number
}

/** 8-bit RGBA [size, size, 4]. */
export type Pixels = Uint8ClampedArray<ArrayBuffer>

export interface Gallery {
  size: number
  originals: Pixels[]
  /** What is hidden of each image, 1 per hidden patch, row by row. */
  masks: Uint8Array[]
  /** Decoded from what the masks leave; null before there is a tokenizer. */
  reconstructions: Pixels[] | null
  /** Of the reconstructions, in dB. */
  psnr: number[] | null
}

/** A log line of a training, a checkpoint that was written, or something that the user should know. */
export type TrainingProgress =
  | { kind: 'step'; step: number; steps: number; metrics: Record<string, number>; rate: number; secondsLeft: number }
  | { kind: 'checkpoint'; step: number }
  | { kind: 'notice'; message: string }

export interface Samples {
  step: number
  steps: number
  size: number
  images: Pixels[]
}

/** What the page can request: its parameters, what is reported meanwhile, and the result. */
export interface Requests {
  /** Null: no folder was chosen. The main process asks for the folder and adds it, because the page names no paths. */
  open: { parameters: object; progress: never; result: Project | null }
  look: { parameters: { count: number; ratio: number; seed: number }; progress: never; result: Gallery }
  trainTokenizer: { parameters: { preset: Preset; steps: number }; progress: TrainingProgress; result: Project }
  encode: { parameters: object; progress: { done: number; total: number }; result: Project }
  trainGenerator: { parameters: { steps: number }; progress: TrainingProgress; result: Project }
  /** Null: cancelled. */
  sample: { parameters: { count: number; steps: number; seed: number }; progress: Samples; result: Samples | null }
}

export type RequestName = keyof Requests

/** From the page to the worker. A cancelled request still ends, with what there is until then. */
export type Call = { id: number; request: RequestName; parameters: object } | { id: number; cancel: true }

/** From the worker to the page: any number of times `progress`, then once `result` or `error`. */
export type Reply =
  | { id: number; progress: unknown }
  | { id: number; result: unknown }
  | { id: number; error: string }
  /** From the main process: the worker has ended, and with it every request. */
  | { ended: number }

export interface Running<Name extends RequestName> {
  result: Promise<Requests[Name]['result']>
  cancel(): void
}

/** What the preload gives to the page as `window.mactok`. */
export interface Bridge {
  request<Name extends RequestName>(
    name: Name,
    parameters: Requests[Name]['parameters'],
    onProgress?: (progress: Requests[Name]['progress']) => void
  ): Running<Name>
}

declare global {
  interface Window {
    readonly mactok: Bridge
  }
}
