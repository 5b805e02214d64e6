/**
 * Addresses: IPv4 (RFC 791), IPv6 (text of RFC 4291 §2.2 in, RFC 5952 out) and MAC.
 *
 *   words   0        1        2            3
 *           | 0      | 0      | 0x0000ffff | a.b.c.d |   IPv4-mapped, RFC 4291 §2.5.5.2
 *           | 128 bits of an IPv6 address            |
 *
 * An address of either family is four 32-bit words in network order, signed, in an Int32Array, so
 * that two are equal when four numbers are. Where only IPv4 can be, it is the last word alone.
 */

/** The third word of an IPv4-mapped address. */
export const MAPPED = 0xffff

/** Octets of a MAC address. */
export const MAC_LEN = 6

/** The address of the text, as `inet_pton` reads it: four decimals, no leading zeros. */
export function parseIpv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (match === null) return undefined
  let addr = 0
  for (let i = 1; i <= 4; i++) {
    const part = match[i]!
    const octet = Number(part)
    if (octet > 255 || (part.length > 1 && part[0] === '0')) return undefined
    addr = (addr << 8) | octet
  }
  return addr
}

export function formatIpv4(addr: number): string {
  return `${addr >>> 24}.${(addr >>> 16) & 255}.${(addr >>> 8) & 255}.${addr & 255}`
}

/** Writes the IPv4-mapped address of `addr`. */
export function mapped(addr: number, into: Int32Array): void {
  into[0] = 0
  into[1] = 0
  into[2] = MAPPED
  into[3] = addr
}

export function isMapped(words: Int32Array): boolean {
  return words[0] === 0 && words[1] === 0 && words[2] === MAPPED
}

/** Are the two addresses the same? */
export function equals(a: Int32Array, b: Int32Array): boolean {
  return a[3] === b[3] && a[2] === b[2] && a[1] === b[1] && a[0] === b[0]
}

/** Reads either family. False, with `into` untouched, when the text is no address. */
export function parse(text: string, into: Int32Array): boolean {
  const addr = parseIpv4(text)
  if (addr !== undefined) {
    mapped(addr, into)
    return true
  }
  return parseIpv6(text, into)
}

/** Of which IP version is the text an address? 0: of none. With a zone it is none. */
export function versionOf(text: string): 0 | 4 | 6 {
  if (parseIpv4(text) !== undefined) return 4
  return parseIpv6(text, new Int32Array(4)) ? 6 : 0
}

/** Reads an IPv6 address without zone: eight groups, one `::`, the last two may be dotted. */
function parseIpv6(text: string, into: Int32Array): boolean {
  const halves = text.split('::')
  if (halves.length > 2) return false
  const isShort = halves.length === 2
  const head = parseGroups(halves[0]!, !isShort)
  const tail = isShort ? parseGroups(halves[1]!, true) : []
  if (head === undefined || tail === undefined) return false
  const absent = 8 - head.length - tail.length
  if (isShort ? absent < 1 : absent !== 0) return false
  const groups = [...head, ...new Array<number>(absent).fill(0), ...tail]
  for (let i = 0; i < 4; i++) into[i] = (groups[2 * i]! << 16) | groups[2 * i + 1]!
  return true
}

/** The 16-bit groups of one side of `::`; a dotted last part counts as two. */
function parseGroups(text: string, mayEndDotted: boolean): number[] | undefined {
  if (text === '') return []
  const parts = text.split(':')
  const groups: number[] = []
  for (const [i, part] of parts.entries()) {
    if (mayEndDotted && i === parts.length - 1 && part.includes('.')) {
      const addr = parseIpv4(part)
      if (addr === undefined) return undefined
      groups.push(addr >>> 16, addr & 0xffff)
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined
      groups.push(Number.parseInt(part, 16))
    }
  }
  return groups
}

/** Dotted for an IPv4-mapped address, else RFC 5952: lower case, the longest run of zeros short. */
export function format(words: Int32Array): string {
  if (isMapped(words)) return formatIpv4(words[3]!)
  const groups: number[] = []
  for (let i = 0; i < 4; i++) groups.push(words[i]! >>> 16, words[i]! & 0xffff)
  let runAt = -1
  let runLen = 1 // RFC 5952 §4.2.2: one group of zeros is not shortened
  for (let i = 0; i < 8; i++) {
    let len = 0
    while (i + len < 8 && groups[i + len] === 0) len++
    if (len > runLen) {
      runAt = i
      runLen = len
    }
  }
  const text = groups.map((group) => group.toString(16))
  if (runAt < 0) return text.join(':')
  return `${text.slice(0, runAt).join(':')}::${text.slice(runAt + runLen).join(':')}`
}

/** The six octets of `52:55:0a:00:02:02`. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) return undefined
  return Uint8Array.from(text.split(':'), (part) => Number.parseInt(part, 16))
}

export function formatMac(bytes: Uint8Array, at = 0): string {
  return Array.from(bytes.subarray(at, at + MAC_LEN), (octet) =>
    octet.toString(16).padStart(2, '0'),
  ).join(':')
}

/** Are the six octets at `at` those of `mac`? */
export function isMac(v: DataView, at: number, mac: Uint8Array): boolean {
  for (let i = 0; i < MAC_LEN; i++) if (v.getUint8(at + i) !== mac[i]) return false
  return true
}

/** Copies the six octets at `at` out into `mac`. */
export function readMac(v: DataView, at: number, mac: Uint8Array): void {
  for (let i = 0; i < MAC_LEN; i++) mac[i] = v.getUint8(at + i)
}

/** Writes the six octets of `mac` at `at`; returns the end. */
export function emitMac(v: DataView, at: number, mac: Uint8Array): number {
  for (let i = 0; i < MAC_LEN; i++) v.setUint8(at + i, mac[i]!)
  return at + MAC_LEN
}

/** The netmask of a prefix length, 0 to 32. */
export const mask = (prefix: number): number => (prefix === 0 ? 0 : -1 << (32 - prefix))

/** Is `addr` in the network, given with its prefix length? */
export const isIn = (addr: number, network: number, prefix: number): boolean =>
  ((addr ^ network) & mask(prefix)) === 0

/** 0.0.0.0 (RFC 1122 §3.2.1.3 a). */
export const isUnspecified = (addr: number): boolean => addr === 0
/** 0.0.0.0/8, "this network" (RFC 1122 §3.2.1.3 b). */
export const isThisNetwork = (addr: number): boolean => addr >>> 24 === 0
/** 127.0.0.0/8 (RFC 1122 §3.2.1.3 g). */
export const isLoopback = (addr: number): boolean => addr >>> 24 === 127
/** 169.254.0.0/16 (RFC 3927). */
export const isLinkLocal = (addr: number): boolean => addr >>> 16 === 0xa9fe
/** 224.0.0.0/4 (RFC 1112 §4). */
export const isMulticast = (addr: number): boolean => addr >>> 28 === 14
/** 255.255.255.255 (RFC 919 §7). The directed broadcast of a network needs its mask: see `isIn`. */
export const isBroadcast = (addr: number): boolean => addr === -1
/** 240.0.0.0/4 (RFC 1112 §4), the limited broadcast among them. */
export const isReserved = (addr: number): boolean => addr >>> 28 === 15
