// The main process: a window, the worker, and the messages between them. It alone opens dialogs and names paths.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { app, BrowserWindow, dialog, ipcMain, protocol, session, utilityProcess } from 'electron'
import { respond } from './files.mjs'

/** @import { Call, Reply } from './protocol.ts' */

const here = fileURLToPath(new URL('.', import.meta.url))
const origin = 'app://mactok'

protocol.registerSchemesAsPrivileged([{ scheme: 'app', privileges: { standard: true, secure: true } }])
app.on('window-all-closed', () => app.quit())
// Not awaited here: Electron is ready only after this module was evaluated.
app.whenReady().then(start)

async function start() {
  protocol.handle('app', ({ url }) => respond(new URL(url).pathname))
  session.defaultSession.setPermissionRequestHandler((_, __, answer) => answer(false))

  const worker = utilityProcess.fork(join(here, 'worker.mjs'), [join(app.getPath('userData'), 'projects')], {
    serviceName: 'mactok',
    env: { ...process.env, ...packagedLibTorch() }
  })
  const window = new BrowserWindow({
    width: 1180,
    height: 860,
    minWidth: 380,
    webPreferences: {
      preload: join(here, 'preload.cjs'),
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false
    }
  })
  window.webContents.setWindowOpenHandler(() => ({ action: 'deny' }))
  window.webContents.on('will-navigate', (event) => event.preventDefault())

  /** @param {Reply} reply */
  function send(reply) {
    if (!window.isDestroyed()) window.webContents.send('reply', reply)
  }
  worker.on('message', send)
  /** The worker's end, with which later calls are answered too. @type {Reply | null} */
  let end = null
  worker.on('exit', (code) => {
    end = { ended: code }
    send(end)
  })

  ipcMain.on('call', async ({ senderFrame }, /** @type {Call} */ call) => {
    if (senderFrame?.origin !== origin) return
    if (end) return send(end)
    if ('cancel' in call || call.request !== 'open') return worker.postMessage(call)
    const { filePaths } = await dialog.showOpenDialog(window, { properties: ['openDirectory'] })
    const [folder] = filePaths
    if (folder === undefined) send({ id: call.id, result: null })
    else worker.postMessage({ ...call, parameters: { folder } })
  })

  await window.loadURL(`${origin}/`)
}

/** LibTorch that was packaged with the app (electron-builder.yml); otherwise mactok looks in the user's cache. */
function packagedLibTorch() {
  const folder = join(process.resourcesPath, 'libtorch', 'torch')
  return existsSync(folder) ? { LIBTORCH: folder } : {}
}
