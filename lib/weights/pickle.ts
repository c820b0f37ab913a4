/**
 * Python's pickles (protocols 2 to 5) without Python: a stack machine that makes plain values and calls nothing. Functions and classes
 * are names; the few that stand for data, such as OrderedDict, are replaced by constructors of ours, and what any other would have made
 * stays a record of its name and arguments.
 */

import { MactokError } from '../errors.js'

/** A Python class or function: its name alone. */
export class PickleGlobal {
  /** @param name with its module, `argparse.Namespace` */
  constructor(readonly name: string) {}
}

/** What calling a class or function would have made; it was not called. */
export class PickleRecord {
  /** What the object would have been told about itself, often a Map of its attributes. */
  state: unknown = undefined
  /** Elements of objects that are lists, and entries of those that are dicts. */
  items: unknown[] | undefined
  entries: Map<unknown, unknown> | undefined

  constructor(
    readonly type: string,
    readonly args: unknown
  ) {}
}

/** Makes a value of the arguments of a call. `spend` is told of every element that is copied, so that copies stay bounded. */
export type PickleConstructor = (args: readonly unknown[], spend: (elements: number) => void) => unknown

export interface PickleOptions {
  /** Names the file in errors. */
  file: string
  constructors: ReadonlyMap<string, PickleConstructor>
  /** The object behind a persistent id. */
  persistent: (id: unknown) => unknown
}

/** Operations and copied elements of one pickle; a checkpoint of 2,000 tensors needs about 100,000. */
const maxWork = 2_000_000
/** Bytes of an integer: nothing in a checkpoint is wider, and converting is quadratic. */
const maxIntegerBytes = 255
const maxNameBytes = 1024

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export const invalidPickle = (file: string, problem: string): MactokError =>
  new MactokError('ERR_FORMAT', `${file} is not a valid PyTorch file: ${problem}`)

/** The value of the pickle that begins at `start`, and where it ends. Objects may refer to each other in circles. */
export function unpickle(bytes: Uint8Array, options: PickleOptions, start = 0): { value: unknown; end: number } {
  return new Machine(bytes, options, start).run()
}

class Machine {
  private readonly view: DataView
  private stack: unknown[] = []
  private readonly marks: unknown[][] = []
  private readonly memo = new Map<number, unknown>()
  private work = 0

  constructor(
    private readonly bytes: Uint8Array,
    private readonly options: PickleOptions,
    private position: number
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  run(): { value: unknown; end: number } {
    for (;;) {
      this.spend(1)
      const code = this.view.getUint8(this.take(1))
      if (code === 0x2e) return { value: this.pop(), end: this.position }
      const operation = operations.get(code)
      if (!operation) throw this.fail(`its pickle has the unknown operation 0x${code.toString(16)}`)
      operation(this)
    }
  }

  fail(problem: string): MactokError {
    return invalidPickle(this.options.file, problem)
  }

  readonly spend = (elements: number): void => {
    this.work += elements
    if (this.work > maxWork) throw this.fail(`its pickle takes more than ${maxWork} operations`)
  }

  /** Advances by `count` bytes and returns where they begin. */
  private take(count: number): number {
    const from = this.position
    if (count > this.bytes.byteLength - from) throw this.fail('its pickle is cut short')
    this.position += count
    return from
  }

  uint8 = (): number => this.view.getUint8(this.take(1))
  uint16 = (): number => this.view.getUint16(this.take(2), true)
  uint32 = (): number => this.view.getUint32(this.take(4), true)
  int32 = (): number => this.view.getInt32(this.take(4), true)
  float64 = (): number => this.view.getFloat64(this.take(8), false)

  uint64(): number {
    const length = this.view.getBigUint64(this.take(8), true)
    if (length > BigInt(this.bytes.byteLength)) throw this.fail('its pickle is cut short')
    return Number(length)
  }

  raw(length: number): Uint8Array {
    const from = this.take(length)
    return this.bytes.subarray(from, from + length)
  }

  text(length: number): string {
    const raw = this.raw(length)
    try {
      return utf8.decode(raw)
    } catch {
      return Buffer.from(raw).toString('latin1') // byte strings of Python 2
    }
  }

  /** Little-endian two's complement. */
  integer(length: number): number | bigint {
    if (length > maxIntegerBytes) throw this.fail(`its pickle has an integer of ${length} bytes`)
    const hex = Buffer.from(this.raw(length)).reverse().toString('hex')
    const value = BigInt.asIntN(Math.max(1, 8 * length), BigInt(hex === '' ? 0 : `0x${hex}`))
    return Number.isSafeInteger(Number(value)) ? Number(value) : value
  }

  line(): string {
    const from = this.position
    const end = this.bytes.subarray(from, from + maxNameBytes).indexOf(0x0a)
    if (end < 0) throw this.fail('its pickle has a name without end')
    const line = this.text(end)
    this.take(1)
    return line
  }

  push(value: unknown): void {
    this.stack.push(value)
  }

  pop(): unknown {
    if (this.stack.length === 0) throw this.fail('its pickle takes what it never put')
    return this.stack.pop()
  }

  top(): unknown {
    const value = this.pop()
    this.stack.push(value)
    return value
  }

  mark(): void {
    this.marks.push(this.stack)
    this.stack = []
  }

  popMark(): unknown[] {
    const items = this.stack
    const outer = this.marks.pop()
    if (!outer) throw this.fail('its pickle takes what it never put')
    this.stack = outer
    return items
  }

  tuple(count: number): void {
    const items = Array.from({ length: count }, () => this.pop()).reverse()
    this.push(items)
  }

  put(index: number): void {
    this.memo.set(index, this.top())
  }

  memoize(): void {
    this.put(this.memo.size)
  }

  get(index: number): void {
    if (!this.memo.has(index)) throw this.fail(`its pickle asks for object ${index}, which it has not made yet`)
    this.push(this.memo.get(index))
  }

  append(items: unknown[]): void {
    const target = this.top()
    if (target instanceof PickleRecord) target.items ??= []
    const list = target instanceof PickleRecord ? target.items : target
    if (!Array.isArray(list)) throw this.fail('its pickle appends to what is no list')
    for (const item of items) list.push(item)
  }

  add(items: unknown[]): void {
    const target = this.top()
    if (!(target instanceof Set)) throw this.fail('its pickle adds to what is no set')
    for (const item of items) target.add(item)
  }

  setItems(items: unknown[]): void {
    const target = this.top()
    if (target instanceof PickleRecord) target.entries ??= new Map()
    const map = target instanceof PickleRecord ? target.entries : target
    if (!(map instanceof Map) || items.length % 2 !== 0) throw this.fail('its pickle sets entries of what is no dict')
    for (let i = 0; i < items.length; i += 2) map.set(items[i], items[i + 1])
  }

  global(module: unknown, name: unknown): void {
    if (typeof module !== 'string' || typeof name !== 'string') throw this.fail('its pickle has a name that is no text')
    if (module.length + name.length > maxNameBytes) throw this.fail('its pickle has a name without end')
    this.push(new PickleGlobal(`${module}.${name}`))
  }

  /** A call, which is none: a constructor of ours makes the value, or a record tells what was asked for. */
  call(args: unknown): void {
    const callee = this.pop()
    if (!(callee instanceof PickleGlobal || callee instanceof PickleRecord)) {
      throw this.fail('its pickle calls what is no function')
    }
    const name = callee instanceof PickleGlobal ? callee.name : 'unknown'
    const construct = this.options.constructors.get(name)
    this.push(construct && Array.isArray(args) ? construct(args, this.spend) : new PickleRecord(name, args))
  }

  build(): void {
    const state = this.pop()
    const target = this.top()
    // Attributes of a dict (a state dict's `_metadata`) or of a tensor say nothing about their values.
    if (target instanceof PickleRecord) target.state = state
  }

  persistent(): void {
    this.push(this.options.persistent(this.pop()))
  }

  refuse(what: string): never {
    throw this.fail(`its pickle has ${what}, which PyTorch does not write`)
  }
}

const code = (character: string): number => character.charCodeAt(0)

/** All operations of protocols 2 to 5; those of text came before. */
const operations: ReadonlyMap<number, (machine: Machine) => void> = new Map([
  [0x80, (m) => void m.uint8()], // PROTO
  [0x95, (m) => void m.uint64()], // FRAME
  [code('('), (m) => m.mark()],
  [code('0'), (m) => void m.pop()],
  [code('1'), (m) => void m.popMark()],
  [code('2'), (m) => m.push(m.top())],

  [code('N'), (m) => m.push(null)],
  [0x88, (m) => m.push(true)],
  [0x89, (m) => m.push(false)],
  [code('K'), (m) => m.push(m.uint8())],
  [code('M'), (m) => m.push(m.uint16())],
  [code('J'), (m) => m.push(m.int32())],
  [0x8a, (m) => m.push(m.integer(m.uint8()))],
  [0x8b, (m) => m.push(m.integer(m.uint32()))],
  [code('G'), (m) => m.push(m.float64())],
  [code('U'), (m) => m.push(m.text(m.uint8()))],
  [code('T'), (m) => m.push(m.text(m.uint32()))],
  [0x8c, (m) => m.push(m.text(m.uint8()))],
  [code('X'), (m) => m.push(m.text(m.uint32()))],
  [0x8d, (m) => m.push(m.text(m.uint64()))],
  [code('C'), (m) => m.push(m.raw(m.uint8()))],
  [code('B'), (m) => m.push(m.raw(m.uint32()))],
  [0x8e, (m) => m.push(m.raw(m.uint64()))],
  [0x96, (m) => m.push(m.raw(m.uint64()))],

  [code(')'), (m) => m.push([])],
  [code('t'), (m) => void m.push(m.popMark())],
  [0x85, (m) => m.tuple(1)],
  [0x86, (m) => m.tuple(2)],
  [0x87, (m) => m.tuple(3)],
  [code(']'), (m) => m.push([])],
  [code('l'), (m) => void m.push(m.popMark())],
  [code('a'), (m) => m.append([m.pop()])],
  [code('e'), (m) => m.append(m.popMark())],
  [code('}'), (m) => m.push(new Map())],
  [code('s'), (m) => m.setItems([m.pop(), m.pop()].reverse())],
  [code('u'), (m) => m.setItems(m.popMark())],
  [0x8f, (m) => m.push(new Set())],
  [0x90, (m) => m.add(m.popMark())],
  [0x91, (m) => void m.push(new Set(m.popMark()))],

  [code('q'), (m) => m.put(m.uint8())],
  [code('r'), (m) => m.put(m.uint32())],
  [0x94, (m) => m.memoize()],
  [code('h'), (m) => m.get(m.uint8())],
  [code('j'), (m) => m.get(m.uint32())],

  [code('c'), (m) => m.global(m.line(), m.line())],
  [
    0x93,
    (m) => {
      const name = m.pop()
      m.global(m.pop(), name)
    }
  ],
  [code('R'), (m) => m.call(m.pop())], // REDUCE
  [0x81, (m) => m.call(m.pop())], // NEWOBJ
  [
    0x92,
    (m) => {
      m.pop() // NEWOBJ_EX's arguments by name
      m.call(m.pop())
    }
  ],
  [code('b'), (m) => m.build()],
  [code('Q'), (m) => m.persistent()],

  ...[0x82, 0x83, 0x84].map((each) => [each, (m: Machine) => m.refuse('an extension code')] as const),
  ...[0x97, 0x98].map((each) => [each, (m: Machine) => m.refuse('a buffer out of band')] as const)
])
