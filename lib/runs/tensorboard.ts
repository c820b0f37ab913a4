import { readdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { AppendedFile } from '../files/appended-file.js'
import { crc32c } from '../native/checksums.js'

/** TFRecord stores a rotated checksum, because the checksum of data that contains its own checksum is weak. */
function maskedCrc(bytes: Uint8Array): Buffer {
  const crc = crc32c(bytes)
  const masked = Buffer.alloc(4)
  masked.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0)
  return masked
}

/** TFRecord: length, its checksum, data, its checksum. */
function record(data: Uint8Array): Buffer {
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(data.length))
  return Buffer.concat([length, maskedCrc(length), data, maskedCrc(data)])
}

// The parts of protobuf's wire format that an Event needs.
function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return Buffer.from([...bytes, rest])
}
const integer = (field: number, value: number) => Buffer.concat([varint(field * 8), varint(value)])
const bytes = (field: number, value: Uint8Array) => Buffer.concat([varint(field * 8 + 2), varint(value.length), value])
const text = (field: number, value: string) => bytes(field, Buffer.from(value))
function double(field: number, value: number): Buffer {
  const data = Buffer.alloc(8)
  data.writeDoubleLE(value)
  return Buffer.concat([varint(field * 8 + 1), data])
}
function float(field: number, value: number): Buffer {
  const data = Buffer.alloc(4)
  data.writeFloatLE(value)
  return Buffer.concat([varint(field * 8 + 5), data])
}

const event = (step: number, content: Uint8Array) =>
  Buffer.concat([double(1, Date.now() / 1000), integer(2, step), content])

/** The time in seconds; later than those of a folder's event files, even where the clock went back: TensorBoard reads them in order of names. */
function laterThan(folder: string): number {
  const times = readdirSync(folder).map((name) => Number(/^events\.out\.tfevents\.(\d+)\./.exec(name)?.[1] ?? 0))
  return Math.max(Math.floor(Date.now() / 1000), ...times.map((time) => time + 1))
}

/** An event file of TensorBoard, in which scalars are written. */
export class EventFile {
  readonly #file: AppendedFile

  /** @param step - the step that the run starts or resumes from: TensorBoard then ignores later steps of earlier files */
  constructor(folder: string, step: number) {
    const seconds = String(laterThan(folder)).padStart(10, '0')
    this.#file = new AppendedFile(join(folder, `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${step}`))
    this.#file.append(record(event(0, text(3, 'brain.Event:2'))))
    if (step > 0) this.#file.append(record(event(step + 1, bytes(7, integer(1, 1)))))
  }

  scalars(step: number, values: Record<string, number>): void {
    const summary = Object.entries(values).map(([tag, value]) =>
      bytes(1, Buffer.concat([text(1, tag), float(2, value)]))
    )
    this.#file.append(record(event(step, bytes(5, Buffer.concat(summary)))))
  }

  close(): void {
    this.#file.close()
  }
}
