/**
 * What the data plane and the main thread tell each other of endpoints, through the rings of ring.ts.
 *
 *   data plane                                     main thread
 *   OPEN  a guest has connected to a listener  →
 *                                              ←   DIAL  to a port of a guest
 *   ESTABLISHED  it has answered               →
 *   TEXT, never more than was granted          →
 *                                              ←   GRANT  so many octets more
 *                                              ←   TEXT, never more than was granted
 *   GRANT                                      →
 *   END  the guest has sent its last octet     →
 *                                              ←   FINISH  so have we
 *   CLOSED  it is over, and why                →
 *                                              ←   RELEASE  nobody is interested any more: a RST, unless FINISH came
 *                                                  before and all was read; with 1, a RST in any case
 *   DATAGRAM                                   ⇄   DATAGRAM
 *
 * An id is a connection or a UDP socket. Connections that a guest opens have odd ids, those that are dialled even ones.
 * Listeners and sockets are made and closed by commands (messages.ts).
 */
import type { Endpoint } from '../sys/sockaddr.ts'

export const OPEN = 1
export const DIAL = 2
export const ESTABLISHED = 3
export const TEXT = 4
export const GRANT = 5
export const END = 6
export const FINISH = 7
export const CLOSED = 8
export const RELEASE = 9
export const DATAGRAM = 10

/** Why a connection is over; its place in the list is what a CLOSED says. */
export const CLOSINGS = [
  /** Both sides have sent all. */
  'finished',
  /** The guest sent a RST, then or as its answer. */
  'reset',
  'refused',
  /** The guest acknowledges nothing any more. */
  'timeout',
  /** Nobody has that address. */
  'unreachable',
  /** There are as many connections as there may be. */
  'full',
] as const
export type Closing = (typeof CLOSINGS)[number]

/** A payload of words, little-endian as all that slipway runs on. */
export function octetsOf(...words: number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(words).buffer)
}

/** The words of a payload, wherever in its buffer it is. */
export function wordsIn({ buffer, byteOffset, length }: Uint8Array): Int32Array {
  return new Int32Array(buffer.slice(byteOffset, byteOffset + length))
}

/** An end in a payload: four words of address, and the port. */
export const END_LEN = 20

export function putEnd(into: Int32Array, { words, port }: Endpoint): void {
  into.set(words)
  into[4] = port
}
