import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

interface Repository {
  private: boolean
  files: Map<string, Buffer>
  /** Subjects of its commits. */
  commits: string[]
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
export const gitHash = (bytes: Uint8Array): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** A server of the Hugging Face Hub's protocol: repositories, commits, large-file storage, downloads. */
export class LocalHub {
  /** May write; `hf_reader` may read. */
  static readonly token = 'hf_writer'
  readonly repositories = new Map<string, Repository>()
  /** Large files by their SHA-256. */
  readonly objects = new Map<string, Buffer>()
  readonly log: { method: string; url: string; authorization: string | undefined }[] = []
  /** Sizes of the parts of large files; null: in one piece. */
  partSize: number | null = null
  /** Answer requests instead, one each, by a part of `<method> <url>`. */
  readonly faults: { request: string; answer: Handler }[] = []
  readonly #parts = new Map<string, Buffer>()
  readonly #server: Server

  private constructor() {
    this.#server = createServer((request, response) => {
      const { method = '', url = '', headers } = request
      this.log.push({ method, url, authorization: headers.authorization })
      const at = this.faults.findIndex((fault) => `${method} ${url}`.includes(fault.request))
      const [fault] = at === -1 ? [] : this.faults.splice(at, 1)
      const answering = Promise.resolve((fault?.answer ?? this.#answer)(request, response))
      // Where a fault has cut the connection.
      answering.catch(() => response.destroy())
    })
  }

  static async start(): Promise<LocalHub> {
    const hub = new LocalHub()
    await new Promise<void>((resolve) => hub.#server.listen(0, '127.0.0.1', resolve))
    return hub
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** The requests of a method whose address has a text. */
  requests(method: string, part: string): string[] {
    return this.log.filter((entry) => entry.method === method && entry.url.includes(part)).map(({ url }) => url)
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  readonly #answer: Handler = async (request, response) => {
    const { method = '', url = '', headers } = request
    const body = await readBody(request)
    const send = (status: number, value: unknown, extra: Record<string, string> = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...extra })
      response.end(JSON.stringify(value))
    }
    const resolved = /^\/([^/]+\/[^/]+)\/resolve\/[^/]+\/(.+)$/.exec(url)
    if (resolved) return this.#download(request, response, resolved[1] as string, resolved[2] as string)
    const stored = /^\/lfs\/(\w+)(?:\/(\w+))?/.exec(url)
    if (stored) {
      const [, oid = '', part] = stored
      if (part === 'complete') {
        const { parts } = JSON.parse(body.toString()) as { parts: { partNumber: number }[] }
        const pieces = parts.map(({ partNumber }) => this.#parts.get(`${oid}/${partNumber}`) as Buffer)
        this.objects.set(oid, Buffer.concat(pieces))
      } else if (part) this.#parts.set(`${oid}/${part}`, body)
      else this.objects.set(oid, body)
      return send(200, {}, { etag: `"${part}"` })
    }

    if (headers.authorization !== `Bearer ${LocalHub.token}`) {
      return headers.authorization === 'Bearer hf_reader'
        ? send(403, { error: "You don't have the rights to create a model" })
        : send(401, { error: 'Invalid username or password.' })
    }
    if (url === '/api/repos/create') {
      const { name, organization, visibility } = JSON.parse(body.toString())
      const repo = `${organization}/${name}`
      if (this.repositories.has(repo)) return send(409, { error: 'You already created this model repo' })
      this.repositories.set(repo, { private: visibility === 'private', files: new Map(), commits: [] })
      return send(200, { url: `${this.url}/${repo}`, id: repo })
    }
    if (url.includes('/preupload/')) {
      const { files } = JSON.parse(body.toString()) as { files: { path: string }[] }
      const modeOf = (path: string) => (/\.(safetensors|png)$/.test(path) ? 'lfs' : 'regular')
      return send(200, { files: files.map(({ path }) => ({ path, uploadMode: modeOf(path) })) })
    }
    if (url.endsWith('.git/info/lfs/objects/batch')) {
      const { objects } = JSON.parse(body.toString()) as { objects: { oid: string; size: number }[] }
      return send(200, { transfer: 'basic', objects: objects.map((object) => this.#uploadOf(object)) })
    }
    const committed = /^\/api\/models\/(.+)\/commit\//.exec(url)
    if (committed && method === 'POST') return send(...this.#commit(committed[1] as string, body.toString()))
    return send(404, { error: 'Not found' })
  }

  #uploadOf({ oid, size }: { oid: string; size: number }) {
    if (this.objects.has(oid)) return { oid, size }
    const href = `${this.url}/lfs/${oid}`
    const signature = '?signature=secret'
    if (this.partSize === null) return { oid, size, actions: { upload: { href: href + signature } } }
    const count = Math.ceil(size / this.partSize)
    const parts = Array.from({ length: count }, (_, i) => [`${i + 1}`, `${href}/${i + 1}${signature}`])
    const header = { chunk_size: `${this.partSize}`, ...Object.fromEntries(parts) }
    return { oid, size, actions: { upload: { href: `${href}/complete`, header } } }
  }

  #commit(name: string, body: string): [number, unknown] {
    const repository = this.repositories.get(name)
    if (!repository) return [404, { error: 'Repository not found' }]
    for (const line of body.split('\n')) {
      const { key, value } = JSON.parse(line)
      if (key === 'header') repository.commits.push(value.summary)
      if (key === 'file') repository.files.set(value.path, Buffer.from(value.content, 'base64'))
      if (key === 'lfsFile') {
        const object = this.objects.get(value.oid)
        if (!object || sha256(object) !== value.oid) return [400, { error: `${value.path} was not uploaded` }]
        repository.files.set(value.path, object)
      }
    }
    const oid = String(repository.commits.length).padStart(40, '0')
    return [200, { success: true, commitOid: oid, commitUrl: `${this.url}/${name}/commit/${oid}`, hookOutput: '' }]
  }

  #download(request: IncomingMessage, response: ServerResponse, name: string, path: string): void {
    const content = this.repositories.get(name)?.files.get(path)
    if (!content) {
      response.writeHead(404)
      response.end()
      return
    }
    const etag = this.objects.has(sha256(content)) ? sha256(content) : gitHash(content)
    response.writeHead(200, { 'content-length': content.length, etag: `"${etag}"`, 'x-repo-commit': 'c0ffee' })
    response.end(request.method === 'HEAD' ? undefined : content)
  }
}

/** Reads some bytes of a request and cuts the connection. */
export const cut: Handler = async (request, response) => {
  for await (const _ of request) break
  response.destroy()
}

/** Reads a request and answers with a status. */
export const status =
  (code: number, error = ''): Handler =>
  async (request, response) => {
    await readBody(request)
    response.writeHead(code, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ error }))
  }
