import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What goes wrong with one request. */
export type Fault =
  /** An answer without the content. */
  | { status: number; headers?: Record<string, string> }
  /** Sends so many bytes of the range, and closes the connection. */
  | { cutAfter: number }
  /** Sends so many bytes of the range, and nothing more. */
  | { stallAfter: number }
  /** Sends the whole file, as a server without ranges does. */
  | 'no ranges'
  /** Sends another range than requested. */
  | 'wrong range'
  | undefined

export interface FaultyServer extends AsyncDisposable {
  url(name: string): string
  /** Name and range of every request, in order. */
  requests: string[]
  files: Record<string, Buffer>
  etag: string | undefined
}

/** A server of files on this machine, whose n-th request (from 0) goes wrong as `fault` says. */
export async function serveFiles(
  files: Record<string, Buffer>,
  fault: (n: number, name: string) => Fault = () => undefined
): Promise<FaultyServer> {
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const name = new URL(request.url ?? '', 'http://local').pathname.slice(1)
    const wrong = fault(served.requests.length, name)
    served.requests.push(`${name} ${request.headers.range}`)
    const content = served.files[name]
    if (!content) return void response.writeHead(404).end()
    if (typeof wrong === 'object' && 'status' in wrong)
      return void response.writeHead(wrong.status, wrong.headers).end()
    if (wrong === 'no ranges') return void response.writeHead(200).end(content)
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    const start = Number(from) + (wrong === 'wrong range' ? 1 : 0)
    const part = content.subarray(start, Number(to) + 1)
    response.writeHead(206, {
      'content-length': part.length,
      'content-range': `bytes ${start}-${start + part.length - 1}/${content.length}`,
      ...(served.etag === undefined ? {} : { etag: served.etag })
    })
    if (typeof wrong !== 'object') return void response.end(part)
    if ('stallAfter' in wrong) return void response.write(part.subarray(0, wrong.stallAfter))
    response.write(part.subarray(0, wrong.cutAfter), () => response.destroy())
  }
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const served: FaultyServer = {
    url: (name) => `http://127.0.0.1:${port}/${name}`,
    requests: [],
    files,
    etag: '"1"',
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }
  return served
}
