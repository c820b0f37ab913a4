/**
 * Reads Python's pickles (protocols 2 to 5) without Python: a stack machine that builds plain values and calls nothing.
 * Functions and classes are only names. The few that stand for data, such as OrderedDict, are replaced by constructors
 * of ours; a call of any other becomes a record of its name and arguments.
 */

import { MactokError } from '../errors.js'

/** A Python class or function, by name only. */
export class PickleGlobal {
  /** @param name with its module, `argparse.Namespace` */
  constructor(readonly name: string) {}
}

/** A call of a class or function that was not made. */
export class PickleRecord {
  /** The state that the object would have been given, often a Map of its attributes. */
  state: unknown = undefined
  /** Elements appended to it as a list, and entries set in it as a dict. */
  items: unknown[] | undefined
  entries: Map<unknown, unknown> | undefined

  constructor(
    readonly type: string,
    readonly args: unknown
  ) {}
}

/** Makes a value of a call's arguments. It must report copied elements to `spend`, which bounds the total work. */
export type PickleConstructor = (args: readonly unknown[], spend: (elements: number) => void) => unknown

export interface PickleOptions {
  /** Names the file in errors. */
  file: string
  constructors: ReadonlyMap<string, PickleConstructor>
  /** Resolves a persistent id. */
  persistent: (id: unknown) => unknown
}

/** Limit on operations and copied elements per pickle; a checkpoint of 2,000 tensors needs about 100,000. */
const maxWork = 2_000_000
/** Limit on bytes per integer: nothing in a checkpoint is wider, and conversion takes quadratic time. */
const maxIntegerBytes = 255
const maxNameBytes = 1024

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export const invalidPickle = (file: string, problem: string): MactokError =>
  new MactokError('ERR_FORMAT', `${file} is not a valid PyTorch file: ${problem}`)

/** Reads the pickle at `start`; returns its value and where it ends. Objects may refer to each other in circles. */
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
    if (count > this.bytes.byteLength - from) throw this.fail('its pickle is truncated')
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
    if (length > BigInt(this.bytes.byteLength)) throw this.fail('its pickle is truncated')
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
      // Byte strings of Python 2.
      return Buffer.from(raw).toString('latin1')
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
    if (end < 0) throw this.fail('its pickle has an endless name')
    const line = this.text(end)
    this.take(1)
    return line
  }

  push(value: unknown): void {
    this.stack.push(value)
  }

  pop(): unknown {
    if (this.stack.length === 0) throw this.fail('its pickle pops an empty stack')
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
    if (!outer) throw this.fail('its pickle pops a mark that was never set')
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
    if (!this.memo.has(index)) throw this.fail(`its pickle refers to object ${index}, which does not exist yet`)
    this.push(this.memo.get(index))
  }

  append(items: unknown[]): void {
    const target = this.top()
    if (target instanceof PickleRecord) target.items ??= []
    const list = target instanceof PickleRecord ? target.items : target
    if (!Array.isArray(list)) throw this.fail('its pickle appends to something other than a list')
    for (const item of items) list.push(item)
  }

  add(items: unknown[]): void {
    const target = this.top()
    if (!(target instanceof Set)) throw this.fail('its pickle adds to something other than a set')
    for (const item of items) target.add(item)
  }

  setItems(items: unknown[]): void {
    const target = this.top()
    if (target instanceof PickleRecord) target.entries ??= new Map()
    const map = target instanceof PickleRecord ? target.entries : target
    if (!(map instanceof Map) || items.length % 2 !== 0)
      throw this.fail('its pickle sets entries of something other than a dict')
    for (let i = 0; i < items.length; i += 2) map.set(items[i], items[i + 1])
  }

  global(module: unknown, name: unknown): void {
    if (typeof module !== 'string' || typeof name !== 'string')
      throw this.fail('its pickle has a name that is not text')
    if (module.length + name.length > maxNameBytes) throw this.fail('its pickle has an endless name')
    this.push(new PickleGlobal(`${module}.${name}`))
  }

  /** Makes the value of a call with a constructor of ours, or records the call. */
  call(args: unknown): void {
    const callee = this.pop()
    if (!(callee instanceof PickleGlobal || callee instanceof PickleRecord)) {
      throw this.fail('its pickle calls something other than a function')
    }
    const name = callee instanceof PickleGlobal ? callee.name : 'unknown'
    const construct = this.options.constructors.get(name)
    this.push(construct && Array.isArray(args) ? construct(args, this.spend) : new PickleRecord(name, args))
  }

  build(): void {
    const state = this.pop()
    const target = this.top()
    // Attributes of a dict (a state dict's `_metadata`) or of a tensor do not affect their values.
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

/** All operations of protocols 2 to 5, without the text operations of protocols 0 and 1. */
const operations: ReadonlyMap<number, (machine: Machine) => void> = new Map([
  // PROTO and FRAME.
  [0x80, (m) => void m.uint8()],
  [0x95, (m) => void m.uint64()],
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
  // REDUCE, NEWOBJ and NEWOBJ_EX, which takes keyword arguments as well.
  [code('R'), (m) => m.call(m.pop())],
  [0x81, (m) => m.call(m.pop())],
  [
    0x92,
    (m) => {
      m.pop()
      m.call(m.pop())
    }
  ],
  [code('b'), (m) => m.build()],
  [code('Q'), (m) => m.persistent()],

  ...[0x82, 0x83, 0x84].map((each) => [each, (m: Machine) => m.refuse('an extension code')] as const),
  ...[0x97, 0x98].map((each) => [each, (m: Machine) => m.refuse('a buffer out of band')] as const)
])
