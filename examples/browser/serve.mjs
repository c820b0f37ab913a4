#!/usr/bin/env node
// Serves the page, the graphs and onnxruntime-web on this machine: node serve.mjs <folder of graphs> [port]
import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream'
import { fileURLToPath } from 'node:url'

const [graphs, port = '8080'] = process.argv.slice(2)
if (graphs === undefined || !existsSync(join(graphs, 'encoder.onnx'))) {
  process.stderr.write('usage: node serve.mjs <folder of encoder.onnx and decoder.onnx> [port]\n')
  process.exit(2)
}
const here = fileURLToPath(new URL('.', import.meta.url))
const runtime = dirname(fileURLToPath(import.meta.resolve('onnxruntime-web/ort-wasm-simd-threaded.wasm')))
const types = { html: 'text/html', js: 'text/javascript', mjs: 'text/javascript', wasm: 'application/wasm' }

/** The file of an address; names have no folders in them. @param {string} path */
function findFile(path) {
  if (path === '/') return join(here, 'index.html')
  if (path === '/page.js') return join(here, 'page.js')
  const [, place, name] = /^\/(graphs|ort)\/([\w-][\w.-]*)$/.exec(path) ?? []
  return name === undefined ? null : join(place === 'graphs' ? graphs : runtime, name)
}

const server = createServer((request, response) => {
  const [path = '/'] = (request.url ?? '/').split('?')
  const file = findFile(path)
  if (file === null || !statSync(file, { throwIfNoEntry: false })?.isFile()) return response.writeHead(404).end()
  response.writeHead(200, {
    'content-type': types[/** @type {keyof typeof types} */ (file.split('.').at(-1))] ?? 'application/octet-stream',
    // They allow shared memory, and with it several threads.
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp'
  })
  // One that fails ends its answer, and not the server.
  pipeline(createReadStream(file), response, () => {})
})
server.listen(Number(port), '127.0.0.1', () => {
  const { port: chosen } = /** @type {import('node:net').AddressInfo} */ (server.address())
  process.stdout.write(`http://127.0.0.1:${chosen}/\n`)
})
