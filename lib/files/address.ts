/** Addresses beside paths: which is one, and what of it may be shown. */

export const isUrl = (location: string): boolean => /^https?:\/\//i.test(location)

/**
 * A path as it is, or an address without what must not appear in names, messages and pages: user, password, and the query, in which
 * storage servers have signatures.
 */
export function withoutSecrets(location: string): string {
  if (!isUrl(location)) return location
  // A password may hold characters that end the host of a valid address.
  if (!URL.canParse(location)) return location.replace(/^(\w+:\/\/).*@/s, '$1').replace(/[?#].*$/s, '')
  return location.replace(/[?#].*$/s, '').replace(/(?<=^\w+:\/\/+)[^/]*@/, '')
}
