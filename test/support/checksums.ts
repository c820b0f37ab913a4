import { readFile, writeFile } from 'node:fs/promises'

/** Removes the checksums from a JSON file that describes files which a test changes by hand. */
export async function removeChecksums(file: string): Promise<void> {
  const { sha256: _, ...content } = JSON.parse(await readFile(file, 'utf8'))
  await writeFile(file, JSON.stringify(content))
}
