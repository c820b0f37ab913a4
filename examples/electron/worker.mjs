// The utility process: all of mactok's work, by the messages of protocol.ts. Models and latents go into the folder that it is started with.
import { describeProject, openProject } from './project.mjs'
import * as work from './work.mjs'

/** @import { Call, Reply, RequestName, Requests } from './protocol.ts' */

/**
 * @template {RequestName} Name
 * @typedef {(parameters: Requests[Name]['parameters'], report: (progress: Requests[Name]['progress']) => void, signal: AbortSignal) =>
 *   Promise<Requests[Name]['result']>} Handler
 */

const [, , home = '.'] = process.argv

/** @type {import('./project.mjs').Place | undefined} */
let place

const opened = () => {
  if (place === undefined) throw new Error('Open a folder of images first')
  return place
}

/** @type {{ [Name in RequestName]: Handler<Name> }} */
const handlers = {
  open: async (parameters) => {
    const { folder } = /** @type {{ folder: string }} */ (parameters)
    place = await openProject(folder, home)
    return describeProject(place)
  },
  look: (parameters) => work.look(opened(), parameters),
  trainTokenizer: (...args) => work.trainTokenizer(opened(), ...args),
  encode: (_, report, signal) => work.encode(opened(), report, signal),
  trainGenerator: (...args) => work.trainGenerator(opened(), ...args),
  sample: (...args) => work.sample(opened(), ...args)
}

/** Requests that change what others read, and run one at a time. @type {Partial<Record<RequestName, string>>} */
const exclusive = {
  open: 'opening a folder',
  trainTokenizer: "the tokenizer's training",
  encode: 'encoding',
  trainGenerator: "the generator's training"
}
/** @type {RequestName | null} */
let changing = null

/** The requests that run. @type {Map<number, AbortController>} */
const running = new Map()

/** @param {Reply} reply */
const send = (reply) => process.parentPort.postMessage(reply)

/** @param {Exclude<Call, { cancel: true }>} call */
async function answer({ id, request, parameters }) {
  if (request in exclusive) {
    if (changing) return send({ id, error: `Wait for the end of ${exclusive[changing]}, or cancel it` })
    changing = request
  }
  const controller = new AbortController()
  running.set(id, controller)
  try {
    const handle = /** @type {Handler<any>} */ (handlers[request])
    const result = await handle(parameters, (progress) => send({ id, progress }), controller.signal)
    send({ id, result })
  } catch (error) {
    send({ id, error: error instanceof Error ? error.message : String(error) })
  } finally {
    running.delete(id)
    if (changing === request) changing = null
  }
}

process.parentPort.on('message', ({ data }) => {
  const call = /** @type {Call} */ (data)
  if ('cancel' in call) running.get(call.id)?.abort()
  else answer(call)
})
