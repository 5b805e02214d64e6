/**
 * The data of SVCB and HTTPS records (RFC 9460 §2.2):
 *
 *   | SvcPriority 2 | TargetName | parameters, in the order of their keys:  | key 2 | length 2 | value | |
 *
 * A client goes to the addresses of a hint before it has asked for any, and to UDP where `h3` is offered.
 */
import { nameIn } from './dns-message.ts'

/** RFC 9460 §14.3.2. */
const MANDATORY = 0
const ALPN = 1
const NO_DEFAULT_ALPN = 2
const PORT = 3
const IPV4HINT = 4
/** RFC 9848. */
const ECH = 5
const IPV6HINT = 6
const DEFAULT_PORT = 443

export interface Permissions {
  isLeased(words: Int32Array): boolean
  mayUseUdp(port: number): boolean
  /** Is the name of a connection to that port read? Then it must not be hidden. */
  isNameRead(port: number): boolean
}

type Params = Map<number, Uint8Array>

/**
 * The data without hints that were not leased, without h3 where UDP is not allowed, and without the keys of ECH where the name has to
 * be read: so clients say it in the clear. Undefined when nothing is left.
 */
export function reviseService(data: Uint8Array, permissions: Permissions): Uint8Array | undefined {
  const target = nameIn(data, 2)
  if (target === undefined) return undefined
  const paramsAt = 2 + target.length
  const params = readParams(data, paramsAt)
  if (params === undefined) return undefined
  reviseHint(params, IPV4HINT, 4, permissions)
  reviseHint(params, IPV6HINT, 16, permissions)
  if (permissions.isNameRead(portOf(params))) remove(params, ECH)
  if (!permissions.mayUseUdp(portOf(params)) && !withoutHttp3(params)) return undefined
  return withParams(data.subarray(0, paramsAt), params)
}

function readParams(data: Uint8Array, at: number): Params | undefined {
  const params: Params = new Map()
  const view = new DataView(data.buffer, data.byteOffset, data.length)
  let last = -1
  while (at < data.length) {
    if (data.length - at < 4) return undefined
    const key = view.getUint16(at)
    const end = at + 4 + view.getUint16(at + 2)
    if (key <= last || end > data.length) return undefined
    params.set(key, data.subarray(at + 4, end))
    last = key
    at = end
  }
  return params
}

function reviseHint(params: Params, key: number, len: number, { isLeased }: Permissions): void {
  const hint = params.get(key)
  if (hint === undefined) return
  const kept: number[] = []
  for (let at = 0; at + len <= hint.length; at += len) {
    const address = hint.subarray(at, at + len)
    if (isLeased(wordsOf(address))) kept.push(...address)
  }
  if (kept.length > 0) params.set(key, Uint8Array.from(kept))
  else remove(params, key)
}

function wordsOf(address: Uint8Array): Int32Array {
  const view = new DataView(address.buffer, address.byteOffset, address.length)
  if (address.length === 4) return Int32Array.of(0, 0, 0xffff, view.getInt32(0))
  return Int32Array.of(view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12))
}

function portOf(params: Params): number {
  const port = params.get(PORT)
  return port?.length === 2 ? (port[0]! << 8) | port[1]! : DEFAULT_PORT
}

/** False when nothing else is offered. */
function withoutHttp3(params: Params): boolean {
  const alpn = params.get(ALPN)
  if (alpn === undefined) return true
  const kept: number[] = []
  for (let at = 0; at < alpn.length; at += 1 + alpn[at]!) {
    const id = alpn.subarray(at + 1, at + 1 + alpn[at]!)
    // h3, h3-29 and the like.
    if (!(id[0] === 0x68 && id[1] === 0x33)) kept.push(id.length, ...id)
  }
  if (kept.length > 0) params.set(ALPN, Uint8Array.from(kept))
  else {
    if (params.has(NO_DEFAULT_ALPN)) return false
    remove(params, ALPN)
  }
  return true
}

/** Takes a parameter out, and its key from the list of those that a client has to know. */
function remove(params: Params, key: number): void {
  params.delete(key)
  const mandatory = params.get(MANDATORY)
  if (mandatory === undefined) return
  const kept: number[] = []
  for (let at = 0; at + 2 <= mandatory.length; at += 2) {
    if (((mandatory[at]! << 8) | mandatory[at + 1]!) !== key) {
      kept.push(mandatory[at]!, mandatory[at + 1]!)
    }
  }
  if (kept.length > 0) params.set(MANDATORY, Uint8Array.from(kept))
  else params.delete(MANDATORY)
}

function withParams(head: Uint8Array, params: Params): Uint8Array {
  const octets = [...head]
  for (const [key, value] of params) {
    octets.push(key >>> 8, key & 0xff, value.length >>> 8, value.length & 0xff, ...value)
  }
  return Uint8Array.from(octets)
}
