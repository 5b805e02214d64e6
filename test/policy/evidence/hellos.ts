/** ClientHellos made of their parts. */

export interface HelloParts {
  /** Absent: no server_name. Several: one list with all of them. */
  names?: readonly string[]
  /** Further extensions: type and body. */
  extensions?: readonly (readonly [type: number, body: readonly number[]])[]
  sessionLen?: number
  /** No extensions at all, not even their length. */
  isBare?: boolean
}

const u16 = (value: number): number[] => [value >> 8, value & 255]
const vector16 = (body: readonly number[]): number[] => [...u16(body.length), ...body]
export const octetsOf = (text: string): number[] => Array.from(text, (c) => c.charCodeAt(0))

export function serverName(names: readonly string[], type = 0): number[] {
  return vector16(names.flatMap((name) => [type, ...vector16(octetsOf(name))]))
}

/** The handshake message, with its header. */
export function helloMessage(parts: HelloParts = {}): number[] {
  const { names, extensions = [], sessionLen = 32, isBare = false } = parts
  const all = [
    ...(names === undefined ? [] : [[0, serverName(names)] as const]),
    ...extensions,
  ].flatMap(([type, body]) => [...u16(type), ...vector16(body)])
  const body = [
    ...[3, 3],
    ...new Array<number>(32).fill(7),
    ...[sessionLen, ...new Array<number>(sessionLen).fill(9)],
    ...vector16([0x13, 0x01, 0xc0, 0x2f]),
    ...[1, 0],
    ...(isBare ? [] : vector16(all)),
  ]
  return [1, body.length >> 16, (body.length >> 8) & 255, body.length & 255, ...body]
}

export function record(type: number, body: readonly number[], version = 1): number[] {
  return [type, 3, version, ...u16(body.length), ...body]
}

/** In as many handshake records as pieces of that length. */
export function records(message: readonly number[], len: number): number[] {
  const octets: number[] = []
  for (let at = 0; at < message.length; at += len) {
    octets.push(...record(22, message.slice(at, at + len)))
  }
  return octets
}

export const hello = (parts?: HelloParts): number[] => record(22, helloMessage(parts))
