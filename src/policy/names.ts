/**
 * Names of hosts as policies have them and as they are compared: lower case, no dot at the end, labels of other scripts
 * in their ASCII form. What comes from the wire is brought into this form as well, and a name that has none matches
 * nothing.
 *
 *   registry.npmjs.org      that name
 *   *.example.com           one or more labels before it: not example.com itself
 */
import { encodePunycode } from './punycode.ts'

/** RFC 1035 §2.3.4. */
const MAX_LABEL = 63
/** RFC 1035 §3.1 counts 255 octets on the wire, one before each label and one at the end. */
const MAX_NAME = 253

/** U+002E and what IDNA takes for it (UTS 46 §2.3). */
const DOTS = /[.\u3002\uff0e\uff61]/
/** Letters, digits, hyphen (RFC 1123 §2.1); and the underscore, which names of services have. */
const LABEL = /^[a-z0-9_-]+$/

/** What a name is as a text of a person; or why it is none. */
export type ReadName = { readonly name: string } | { readonly problem: string }

/** Reads a pattern: a name, or `*.` and a name. */
export function readPattern(text: string): ReadName {
  if (!text.startsWith('*.')) {
    if (text.includes('*'))
      return { problem: '* can only be the whole first label, as in *.example.com' }
    return readName(text)
  }
  const base = readName(text.slice(2))
  if ('problem' in base) return base
  return { name: `*.${base.name}` }
}

/** Reads a name as people write it. */
export function readName(text: string): ReadName {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return { problem: 'it is a URL, not a name' }
  if (/:\d*$/.test(text)) return { problem: 'it has a port: that is for "port"' }
  if (text.includes('/')) return { problem: 'it is no name of a host: prefixes are for "to"' }
  if (text.includes('*'))
    return { problem: '* can only be the whole first label, as in *.example.com' }
  const whole = text.replace(/[.\u3002\uff0e\uff61]$/, '')
  if (whole === '') return { problem: 'it is empty' }
  const labels = whole.split(DOTS).map(asciiLabel)
  for (const label of labels) {
    if (label === '') return { problem: 'a label is empty' }
    if (label === undefined || !LABEL.test(label)) {
      return { problem: 'no name of a host has such letters' }
    }
    if (label.length > MAX_LABEL) return { problem: `a label is longer than ${MAX_LABEL} octets` }
  }
  const name = labels.join('.')
  if (name.length > MAX_NAME) return { problem: `it is longer than ${MAX_NAME} octets` }
  // RFC 1123 §2.1: the last label of a name is not a number, so nobody takes an address for one.
  if (/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1)!)) {
    return { problem: 'it is an address: addresses are for "to"' }
  }
  return { name }
}

/**
 * The form of a name as it came from the wire, in dots; undefined when no policy can name it. There letters are ASCII,
 * and a dot at the end is the root's.
 */
export function canonicalName(text: string): string | undefined {
  // First: there are letters of which the lower case is one of ASCII's.
  if (/[^ -~]/.test(text)) return undefined
  const name = (text.endsWith('.') ? text.slice(0, -1) : text).toLowerCase()
  if (name.length === 0 || name.length > MAX_NAME) return undefined
  for (const label of name.split('.')) {
    if (label.length > MAX_LABEL || !LABEL.test(label)) return undefined
  }
  return name
}

/** Of a label with other letters than ASCII's: what browsers look up for it (UTS 46, RFC 5891 §5), without its tables. */
function asciiLabel(label: string): string | undefined {
  // Full-width letters, ligatures and capitals of all scripts have one form each.
  const mapped = label.normalize('NFKC').toLowerCase().normalize('NFC')
  if (!/[^ -~]/.test(mapped)) return mapped
  // What cannot be seen, and halves of letters, are in no label that a registry gives.
  if (/[\p{C}\p{Z}]/u.test(mapped)) return undefined
  return `xn--${encodePunycode(mapped)}`
}

/** Does the pattern stand for this name? Both are in their canonical form. */
export function matches(pattern: string, name: string): boolean {
  if (!pattern.startsWith('*.')) return pattern === name
  return name.length > pattern.length - 1 && name.endsWith(pattern.slice(1))
}

/** Does `outer` stand for each name that `inner` stands for? */
export function contains(outer: string, inner: string): boolean {
  if (!inner.startsWith('*.')) return matches(outer, inner)
  return outer === inner || (outer.startsWith('*.') && inner.slice(1).endsWith(outer.slice(1)))
}

/** The names whose `*.` stands for this one, the longest first: of a.b.c these are b.c and c. */
export function* basesOf(name: string): Generator<string> {
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    yield name.slice(dot + 1)
  }
}
