import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface LocalServer extends AsyncDisposable {
  url: string
  /** The Range header of every request, in order. */
  ranges: (string | undefined)[]
}

/** An HTTP server on this machine that answers the n-th request (from 0) by `answer`. */
export async function serve(
  answer: (request: IncomingMessage, response: ServerResponse, n: number) => void
): Promise<LocalServer> {
  const ranges: (string | undefined)[] = []
  const server = createServer((request, response) => {
    ranges.push(request.headers.range)
    answer(request, response, ranges.length - 1)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/wheel`,
    ranges,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}

/** Answers with the content from where the request's Range starts. */
export function sendFrom(request: IncomingMessage, response: ServerResponse, content: Buffer) {
  const start = Number(request.headers.range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0)
  response.writeHead(start ? 206 : 200, { 'content-length': content.length - start })
  response.end(content.subarray(start))
}
