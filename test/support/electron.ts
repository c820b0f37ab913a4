import { type ChildProcess, fork } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { respond } from '../../examples/electron/files.mjs'
import type { Bridge, Call, Reply } from '../../examples/electron/protocol.js'

export const example = fileURLToPath(new URL('../../examples/electron', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url))

/** Node's processes send by `process`, Electron's utility processes by `process.parentPort`. */
const parentPort = `process.parentPort = {
  on: (name, listener) => process.on(name, (data) => listener({ data })),
  postMessage: (message) => process.send(message)
}`

/** Copies the app's own files, without what was installed or built there. */
export function copyApp(app: string): void {
  const made = ['node_modules', 'out', 'libtorch'].map((name) => join(example, name))
  cpSync(example, app, { recursive: true, filter: (path) => !made.includes(path) })
}

/** Copies the app with its dependency, and starts its worker as a process of Node. */
export function startWorker(folder: string): ChildProcess {
  const app = join(folder, 'app')
  copyApp(app)
  mkdirSync(join(app, 'node_modules'), { recursive: true })
  symlinkSync(root, join(app, 'node_modules', 'mactok'))
  return fork(join(app, 'worker.mjs'), [join(folder, 'projects')], {
    execArgv: ['--import', `data:text/javascript,${encodeURIComponent(parentPort)}`],
    serialization: 'advanced',
    env: { ...process.env, MACTOK_ADDON: undefined, OMP_NUM_THREADS: '1' }
  })
}

/** What the preload does with Electron. */
export interface PreloadSide {
  /** What it gives to the page, by name. */
  exposed: Record<string, unknown>
  /** What it sends to the main process, by channel. */
  sent: [channel: string, message: unknown][]
  /** Hands it a message of the main process. */
  receive(channel: string, message: unknown): void
}

export const preloadSource = readFileSync(join(example, 'preload.cjs'), 'utf8')

/** Runs the preload with an `electron` that records. */
export function runPreload(onSend: (call: Call) => void = () => {}): PreloadSide & { bridge: Bridge } {
  const exposed: Record<string, unknown> = {}
  const sent: PreloadSide['sent'] = []
  const listeners = new Map<string, (event: object, message: unknown) => void>()
  const electron = {
    contextBridge: {
      exposeInMainWorld: (name: string, api: unknown) => {
        exposed[name] = api
      }
    },
    ipcRenderer: {
      send: (channel: string, call: Call) => {
        sent.push([channel, call])
        onSend(call)
      },
      on: (channel: string, listener: (event: object, message: unknown) => void) => listeners.set(channel, listener)
    }
  }
  const require = (name: string) => {
    if (name !== 'electron') throw new Error(`a sandboxed preload cannot require ${name}`)
    return electron
  }
  new Function('require', preloadSource)(require)
  const receive = (channel: string, message: unknown) => listeners.get(channel)?.({}, message)
  return { exposed, sent, receive, bridge: exposed.mactok as Bridge }
}

/** The preload's bridge to a worker; `folder` is what the user chooses. */
export function connect(worker: ChildProcess, folder: string): Bridge {
  const { bridge, receive } = runPreload((call) => worker.send(addFolder(call, folder)))
  worker.on('message', (reply: Reply) => receive('reply', reply))
  worker.on('exit', (code) => receive('reply', { ended: code ?? -1 }))
  return bridge
}

/** As the main process does. */
export const addFolder = (call: Call, folder: string): Call =>
  'request' in call && call.request === 'open' ? { ...call, parameters: { folder } } : call

/** Serves the page as the main process does; returns its address. */
export async function servePage(): Promise<{ url: string; server: Server }> {
  const server = createServer(async ({ url = '/' }, response) => {
    const { status, headers, body } = await respond(new URL(url, 'http://localhost').pathname)
    response.writeHead(status, Object.fromEntries(headers))
    if (body) for await (const chunk of body) response.write(chunk)
    response.end()
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, server }
}

/** Gives a page the preload, which there speaks with a worker; `folder` is what the user chooses. */
export async function connectPage(page: Page, worker: ChildProcess, folder: string): Promise<void> {
  await page.exposeFunction('toWorker', (call: Call) => worker.send(addFolder(call, folder)))
  worker.on('message', async (reply: Reply) => {
    if (page.isClosed()) return
    await page.evaluate(
      (reply) => (globalThis as unknown as { fromWorker(reply: Reply): void }).fromWorker(reply),
      reply
    )
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
}
