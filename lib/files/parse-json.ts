import { MactokError } from '../errors.js'

/**
 * Parses the text of a JSON file.
 * @throws {MactokError} `ERR_FORMAT` naming the file
 */
export function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new MactokError('ERR_FORMAT', `${file} is not JSON: ${(cause as Error).message}`, { cause })
  }
}
