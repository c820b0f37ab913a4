/** Addresses beside paths: which is one, and what of it may be shown. */

export const isUrl = (location: string): boolean => /^https?:\/\//i.test(location)

/**
 * A path as it is, or an address without what must not appear in names, messages and pages: user, password, and the query, in which
 * storage servers have signatures.
 */
export const printable = (location: string): string =>
  isUrl(location) ? location.replace(/[?#].*$/s, '').replace(/(?<=^\w+:\/\/)[^/]*@/, '') : location
