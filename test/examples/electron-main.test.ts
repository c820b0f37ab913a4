import { EventEmitter } from 'node:events'
import { beforeAll, expect, jest, test } from '@jest/globals'
import type { Call, Reply } from '../../examples/electron/protocol.js'

/** What the main process does with Electron. */
const done = {
  preferences: {} as Record<string, unknown>,
  loaded: '',
  forked: [] as unknown[],
  toWorker: [] as unknown[],
  toPage: [] as unknown[],
  handlers: new Map<string, (request: { url: string }) => Promise<Response>>()
}
let chosen: string[] = []
/** Electron is ready when the main module was evaluated, and not before. */
let ready: () => void
const isReady = new Promise<void>((resolve) => {
  ready = resolve
})

const worker = Object.assign(new EventEmitter(), { postMessage: (call: Call) => done.toWorker.push(call) })
const webContents = Object.assign(new EventEmitter(), {
  send: (_: string, reply: Reply) => done.toPage.push(reply),
  setWindowOpenHandler: () => {}
})
class BrowserWindow {
  webContents = webContents
  constructor({ webPreferences }: { webPreferences: Record<string, unknown> }) {
    done.preferences = webPreferences
  }
  isDestroyed = () => false
  loadURL = async (url: string) => {
    done.loaded = url
  }
}
const ipcMain = new EventEmitter()

jest.unstable_mockModule('electron', () => ({
  BrowserWindow,
  ipcMain,
  app: Object.assign(new EventEmitter(), { whenReady: () => isReady, getPath: () => '/home/user/.config/app' }),
  dialog: { showOpenDialog: async () => ({ filePaths: chosen }) },
  protocol: {
    registerSchemesAsPrivileged: () => {},
    handle: (scheme: string, handler: (request: { url: string }) => Promise<Response>) =>
      done.handlers.set(scheme, handler)
  },
  session: { defaultSession: { setPermissionRequestHandler: () => {} } },
  utilityProcess: {
    fork: (...args: unknown[]) => {
      done.forked = args
      return worker
    }
  }
}))

/** Sends a call as the page does, and waits until it was handled. */
async function call(message: Call, origin = 'app://mactok'): Promise<void> {
  ipcMain.emit('call', { senderFrame: { origin } }, message)
  await new Promise((resolve) => setImmediate(resolve))
}

beforeAll(async () => {
  Object.assign(process, { resourcesPath: '/nowhere' })
  await import('../../examples/electron/main.mjs')
  ready()
  await new Promise((resolve) => setImmediate(resolve))
})

test('the main process isolates the page, relays its messages, and alone names folders', async () => {
  expect(done.preferences).toMatchObject({ contextIsolation: true, sandbox: true, nodeIntegration: false })
  expect(done.loaded).toBe('app://mactok/')
  expect(done.forked.slice(0, 2)).toEqual([expect.stringMatching(/worker\.mjs$/), ['/home/user/.config/app/projects']])

  const encode: Call = { id: 1, request: 'encode', parameters: {} }
  await call(encode, 'https://example.org')
  expect(done.toWorker).toEqual([])
  await call(encode)
  await call({ id: 1, cancel: true })
  await call({ id: 2, request: 'open', parameters: { folder: '/etc' } })
  chosen = ['/photos']
  await call({ id: 3, request: 'open', parameters: { folder: '/etc' } })
  expect(done.toWorker).toEqual([
    encode,
    { id: 1, cancel: true },
    { id: 3, request: 'open', parameters: { folder: '/photos' } }
  ])

  worker.emit('message', { id: 1, progress: { done: 1, total: 2 } })
  worker.emit('exit', 11)
  expect(done.toPage).toEqual([{ id: 2, result: null }, { id: 1, progress: { done: 1, total: 2 } }, { ended: 11 }])
  // Nobody would answer later calls.
  await call({ id: 4, request: 'open', parameters: {} })
  expect(done.toPage.slice(3)).toEqual([{ ended: 11 }])
  expect(done.toWorker).toHaveLength(3)
})

test('only files of the page are served, under a strict policy', async () => {
  const get = (path: string) => done.handlers.get('app')?.({ url: `app://mactok${path}` }) as Promise<Response>
  const page = await get('/')
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(page.headers.get('content-security-policy')).toMatch(
    /^default-src 'none'; script-src 'self'; style-src 'self';/
  )
  expect(await page.text()).toContain('<h1')
  for (const path of ['/../main.mjs', '/%2e%2e/main.mjs', '/..%2fmain.mjs', '/main.mjs', '/page/', '/nothing.css']) {
    expect((await get(path)).status).toBe(404)
  }
})
