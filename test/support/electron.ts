import type { ChildProcess } from 'node:child_process'
import type { Bridge, Call, Reply } from '../../examples/electron/protocol.js'
import { addFolder, preloadSource } from '../../scripts/electron-page.mjs'

export interface PreloadSide {
  /** What the preload gives to the page, by name. */
  exposed: Record<string, unknown>
  bridge: Bridge
  /** What it sends to the main process. */
  sent: [channel: string, message: unknown][]
  /** Hands it a message of the main process. */
  receive(channel: string, message: unknown): void
}

/** Runs the preload with an `electron` that records. */
export function runPreload(onSend: (call: Call) => void = () => {}): PreloadSide {
  const exposed: Record<string, unknown> = {}
  const sent: PreloadSide['sent'] = []
  const listeners = new Map<string, (event: object, message: unknown) => void>()
  const contextBridge = {
    exposeInMainWorld(name: string, api: unknown) {
      exposed[name] = api
    }
  }
  const ipcRenderer = {
    send(channel: string, call: Call) {
      sent.push([channel, call])
      onSend(call)
    },
    on: (channel: string, listener: (event: object, message: unknown) => void) => listeners.set(channel, listener)
  }
  const require = (name: string) => {
    if (name !== 'electron') throw new Error(`a sandboxed preload cannot require ${name}`)
    return { contextBridge, ipcRenderer }
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
