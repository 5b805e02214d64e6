/**
 * The body of a ClientHello (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2), as far as a policy asks:
 *
 *   | version 2 | random 32 | session id 1+n | cipher suites 2+n | compression 1+n | extensions 2+n |
 *   extension:    | type 2 | 2+n |
 *   server_name:  | list 2+n |  each: | type 1 | 2+n |     RFC 6066 §3
 */
import { canonicalName } from '../names.ts'
import { latin1 } from './inspector.ts'

export interface ClientHello {
  /** The name of server_name in its canonical form; '' when it has one that no host can have. Absent: it names nobody. */
  readonly sni?: string
  /** encrypted_client_hello (RFC 9849) is there, in earnest or not: nobody can tell. */
  readonly hasEch: boolean
  /** Octets of TLS 1.3 may follow before the server has answered. */
  readonly hasEarlyData: boolean
}

const SERVER_NAME = 0
const EARLY_DATA = 42
const ENCRYPTED_CLIENT_HELLO = 0xfe0d
const HOST_NAME = 0
const VERSION_LEN = 2
const RANDOM_LEN = 32
const MAX_SESSION_ID = 32

/** Reads the whole of [0, end). Undefined when it is malformed, or has anything twice. */
export function readClientHello(octets: Uint8Array, end: number): ClientHello | undefined {
  const reader = new Reader(octets, 0, end)
  if (!reader.skip(VERSION_LEN + RANDOM_LEN)) return undefined
  const session = reader.vector(1)
  const suites = reader.vector(2)
  const compression = reader.vector(1)
  if (session === undefined || suites === undefined || compression === undefined) return undefined
  if (session.left > MAX_SESSION_ID || suites.left < 2 || compression.left < 1) return undefined
  // Before TLS 1.3 there may be none.
  if (reader.left === 0) return { hasEch: false, hasEarlyData: false }
  const extensions = reader.vector(2)
  if (extensions === undefined || reader.left > 0) return undefined
  return readExtensions(extensions)
}

function readExtensions(extensions: Reader): ClientHello | undefined {
  const types = new Set<number>()
  let sni: string | undefined
  while (extensions.left > 0) {
    const type = extensions.number(2)
    const body = extensions.vector(2)
    if (body === undefined || types.has(type)) return undefined
    types.add(type)
    if (type === SERVER_NAME) {
      sni = readServerName(body)
      if (sni === undefined) return undefined
    }
  }
  return {
    ...(sni !== undefined && { sni }),
    hasEch: types.has(ENCRYPTED_CLIENT_HELLO),
    hasEarlyData: types.has(EARLY_DATA),
  }
}

/** One name of a host, and nothing else: servers differ in which of several they take. */
function readServerName(body: Reader): string | undefined {
  const list = body.vector(2)
  if (list === undefined || body.left > 0) return undefined
  const type = list.number(1)
  const name = list.vector(2)
  if (name === undefined || type !== HOST_NAME || list.left > 0 || name.left === 0) return undefined
  return canonicalName(name.text()) ?? ''
}

class Reader {
  readonly #octets: Uint8Array
  #at: number
  readonly #end: number

  constructor(octets: Uint8Array, at: number, end: number) {
    this.#octets = octets
    this.#at = at
    this.#end = end
  }

  get left(): number {
    return this.#end - this.#at
  }

  skip(len: number): boolean {
    if (this.left < len) return false
    this.#at += len
    return true
  }

  /** A number of `len` octets; NaN when they are not there. */
  number(len: number): number {
    let value = 0
    for (let i = 0; i < len; i++) value = value * 256 + (this.#octets[this.#at + i] ?? Number.NaN)
    return this.skip(len) ? value : Number.NaN
  }

  /** What a length of `lenLen` octets stands before; undefined when not all of it is there. */
  vector(lenLen: number): Reader | undefined {
    const len = this.number(lenLen)
    const at = this.#at
    if (Number.isNaN(len) || !this.skip(len)) return undefined
    return new Reader(this.#octets, at, at + len)
  }

  text(): string {
    return latin1(this.#octets, this.#at, this.#end)
  }
}
