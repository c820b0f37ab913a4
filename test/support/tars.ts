import { buffer } from 'node:stream/consumers'
import { pack } from 'tar-stream'

/** A tar written by tar-stream, which knows nothing of our reader. */
export function tar(files: readonly (readonly [name: string, content: string | Buffer])[]): Promise<Buffer> {
  const packed = pack()
  for (const [name, content] of files) packed.entry({ name }, content)
  packed.finalize()
  return buffer(packed)
}
