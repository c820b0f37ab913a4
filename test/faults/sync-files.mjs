/** `node:fs/promises` without its threads, for the fuzzed library: each operation would wait for a thread longer than it works. */

import * as fs from 'node:fs'

export * from 'node:fs/promises'

class FileHandle {
  /** @param {number} fd */
  constructor(fd) {
    this.fd = fd
  }

  /** @param {Buffer} buffer @param {number} [offset] @param {number} [length] @param {number | null} [position] */
  async read(buffer, offset = 0, length = buffer.byteLength - offset, position = null) {
    return { buffer, bytesRead: fs.readSync(this.fd, buffer, offset, length, position) }
  }

  /** @param {Buffer} buffer @param {number} [offset] @param {number} [length] @param {number | null} [position] */
  async write(buffer, offset, length, position) {
    return { buffer, bytesWritten: fs.writeSync(this.fd, buffer, offset, length, position) }
  }

  /** @param {string} text */
  async writeFile(text) {
    fs.writeFileSync(this.fd, text)
  }

  /** @param {import('node:fs').StatOptions} [options] */
  async stat(options) {
    return fs.fstatSync(this.fd, options)
  }

  async close() {
    if (this.fd >= 0) fs.closeSync(this.fd)
    this.fd = -1
  }
}

/** @type {(...values: Parameters<typeof fs.openSync>) => Promise<FileHandle>} */
export const open = async (...values) => new FileHandle(fs.openSync(...values))

/** @template {any[]} A @template R @param {(...values: A) => R} call @returns {(...values: A) => Promise<R>} */
const promised =
  (call) =>
  async (...values) =>
    call(...values)

export const access = promised(fs.accessSync)
export const mkdir = promised(fs.mkdirSync)
export const readdir = promised(fs.readdirSync)
export const readFile = promised(fs.readFileSync)
export const realpath = promised(fs.realpathSync)
export const rename = promised(fs.renameSync)
export const rm = promised(fs.rmSync)
export const stat = promised(fs.statSync)
export const writeFile = promised(fs.writeFileSync)
