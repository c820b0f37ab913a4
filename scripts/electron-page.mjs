// examples/electron without Electron: its worker as a process of Node, its page in a browser, its preload between them.
import { fork } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { respond } from '../examples/electron/files.mjs'

/** @import { ChildProcess } from 'node:child_process' */
/** @import { AddressInfo } from 'node:net' */
/** @import { Page } from 'playwright-core' */
/** @import { Call, Reply } from '../examples/electron/protocol.ts' */

const root = fileURLToPath(new URL('..', import.meta.url))
export const example = join(root, 'examples', 'electron')
export const preloadSource = readFileSync(join(example, 'preload.cjs'), 'utf8')

/** Copies the app's own files, without what was installed or built there. @param {string} app */
export function copyApp(app) {
  const made = ['node_modules', 'out', 'libtorch'].map((name) => join(example, name))
  cpSync(example, app, { recursive: true, filter: (path) => !made.includes(path) })
}

/** Node's processes send by `process`, Electron's utility processes by `process.parentPort`. */
const parentPort = `process.parentPort = {
  on: (name, listener) => process.on(name, (data) => listener({ data })),
  postMessage: (message) => process.send(message)
}`

/**
 * Copies the app with its dependency into a folder, and starts its worker.
 * @param {string} folder
 * @param {NodeJS.ProcessEnv} [env]
 */
export function startWorker(folder, env = {}) {
  const app = join(folder, 'app')
  copyApp(app)
  mkdirSync(join(app, 'node_modules'), { recursive: true })
  symlinkSync(root, join(app, 'node_modules', 'mactok'))
  return fork(join(app, 'worker.mjs'), [join(folder, 'projects')], {
    execArgv: ['--import', `data:text/javascript,${encodeURIComponent(parentPort)}`],
    serialization: 'advanced',
    env: { ...process.env, ...env }
  })
}

/**
 * Adds the folder that the user chooses, as the main process does.
 * @param {Call} call
 * @param {string} folder
 * @returns {Call}
 */
export const addFolder = (call, folder) =>
  'request' in call && call.request === 'open' ? { ...call, parameters: { folder } } : call

/** Serves the page as the main process does. */
export async function servePage() {
  const server = createServer(async ({ url = '/' }, response) => {
    const { status, headers, body } = await respond(new URL(url, 'http://localhost').pathname)
    response.writeHead(status, Object.fromEntries(headers))
    if (body) for await (const chunk of body) response.write(chunk)
    response.end()
  })
  await new Promise((listening) => server.listen(0, '127.0.0.1', () => listening(null)))
  const { port } = /** @type {AddressInfo} */ (server.address())
  return { url: `http://127.0.0.1:${port}/`, server }
}

/**
 * Gives a page the preload, which there speaks with a worker. What it returns waits until the page has had every reply so far;
 * a page that is closed before that rejects the rest.
 * @param {Page} page
 * @param {ChildProcess} worker
 * @param {string} folder what the user chooses
 */
export async function connectPage(page, worker, folder) {
  await page.exposeFunction('toWorker', (/** @type {Call} */ call) => worker.send(addFolder(call, folder)))
  /** @type {Promise<unknown>} */
  let delivered = Promise.resolve()
  worker.on('message', (/** @type {Reply} */ reply) => {
    delivered = page.evaluate((reply) => /** @type {any} */ (globalThis).fromWorker(reply), reply)
  })
  await page.addInitScript(`{
    const electron = {
      contextBridge: { exposeInMainWorld: (name, api) => { window[name] = api } },
      ipcRenderer: {
        send: (channel, call) => window.toWorker(call),
        on: (channel, listener) => { window.fromWorker = (reply) => listener({}, reply) }
      }
    }
    const require = () => electron
    ${preloadSource}
  }`)
  return () => delivered
}
