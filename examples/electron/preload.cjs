// Runs in the page's sandbox, without Node, and gives the page one object, `mactok`, which speaks protocol.ts and nothing else.
const { contextBridge, ipcRenderer } = require('electron')

/** @import { Bridge, Call, Reply, RequestName } from './protocol.ts' with { 'resolution-mode': 'import' } */

/** @satisfies {Record<RequestName, true>} */
const requests = { open: true, look: true, trainTokenizer: true, encode: true, trainGenerator: true, sample: true }

/** @type {Map<number, { progress: (value: any) => void, resolve: (value: any) => void, reject: (error: Error) => void }>} */
const waiting = new Map()
let last = 0

/** @param {Call} call */
const send = (call) => ipcRenderer.send('call', call)

ipcRenderer.on('reply', (_, /** @type {Reply} */ reply) => {
  if ('ended' in reply) {
    for (const { reject } of waiting.values())
      reject(new Error(`The worker ended with code ${reply.ended}: start again`))
    return waiting.clear()
  }
  const request = waiting.get(reply.id)
  if (request === undefined) return
  if ('progress' in reply) return request.progress(reply.progress)
  waiting.delete(reply.id)
  if ('error' in reply) request.reject(new Error(reply.error))
  else request.resolve(reply.result)
})

/** @type {Bridge} */
const bridge = {
  request(name, parameters, onProgress) {
    if (!Object.hasOwn(requests, name))
      throw new TypeError(`Expected one of ${Object.keys(requests).join(', ')} but received ${name}`)
    const id = ++last
    const result = new Promise((resolve, reject) => {
      waiting.set(id, { progress: (value) => onProgress?.(value), resolve, reject })
    })
    send({ id, request: name, parameters })
    return { result, cancel: () => send({ id, cancel: true }) }
  }
}

contextBridge.exposeInMainWorld('mactok', bridge)
