/**
 * Datagrams on their way to the host: those of one socket to one peer that came with one batch of frames go with one
 * system call, which the kernel cuts (UDP_SEGMENT, udp(7)). Frames are kept as long as their datagrams wait: until the
 * end of the batch.
 */
import { KEY_WORDS } from '../stack/flow-table.ts'
import { Slices } from '../stack/slices.ts'
import type { Datagram } from '../stack/stack.ts'
import type { Arena } from '../sys/arena.ts'
import { EAGAIN, EINVAL, EIO } from '../sys/constants.ts'
import * as socket from '../sys/socket.ts'

/** UDP_MAX_SEGMENTS of <linux/udp.h>, before Linux 6.9 made it 128. */
const MOST = 64
/** What one send takes, over IPv6 as well. */
const MAX_OCTETS = 0xffff - 40 - 8

/** A datagram of the guest as a socket sends it. */
export type Piece = Pick<Datagram, 'key' | 'at' | 'len'>

/** A socket that sends datagrams of the guest. */
export interface Outlet {
  readonly fd: number
  /** The largest datagrams of which the kernel takes several at once: learnt, and Infinity at first. */
  mostSegment: number
  /** Sends one. */
  sendOne(piece: Piece, to: socket.Endpoint): void
  /** The socket had no room for so many. */
  isFull(count: number): void
}

export class UdpBurst {
  readonly #arena: Arena
  readonly #texts = new Slices(MOST)
  readonly #to: socket.Endpoint = { words: new Int32Array(4), port: 0, from: undefined }
  readonly #piece = { key: new Int32Array(KEY_WORDS), at: 0, len: 0 }
  #outlet: Outlet | undefined
  /** Octets of each datagram; the last may be shorter. */
  #segment = 0

  constructor(arena: Arena) {
    this.#arena = arena
  }

  /** Sends the datagram with others, or at once when its octets do not stay. */
  add(outlet: Outlet, datagram: Datagram, to: socket.Endpoint): void {
    const { key, at, len } = datagram
    if (!this.#goesOn(outlet, key, len)) {
      this.send()
      if (!datagram.isInFrame || len === 0 || len > outlet.mostSegment) {
        return outlet.sendOne(datagram, to)
      }
      this.#begin(outlet, key, len, to)
    }
    this.#texts.push(at, len)
    if (len < this.#segment || !datagram.isInFrame) this.send()
  }

  #begin(outlet: Outlet, key: Int32Array, segment: number, to: socket.Endpoint): void {
    this.#outlet = outlet
    this.#segment = segment
    this.#piece.key.set(key)
    this.#to.words.set(to.words)
    this.#to.port = to.port
    this.#to.scope = to.scope ?? 0
    this.#to.from = to.from
  }

  #goesOn(outlet: Outlet, key: Int32Array, len: number): boolean {
    const texts = this.#texts
    if (this.#outlet !== outlet || texts.count === MOST) return false
    if (len > this.#segment || len === 0 || texts.total + len > MAX_OCTETS) return false
    for (let i = 0; i < KEY_WORDS; i++) if (this.#piece.key[i] !== key[i]) return false
    return true
  }

  /** Sends what waits. */
  send(): void {
    const outlet = this.#outlet
    if (outlet === undefined) return
    this.#outlet = undefined
    const texts = this.#texts
    if (texts.count === 1) this.#sendEach(outlet)
    else {
      const n = socket.sendSegments(outlet.fd, this.#arena, texts, this.#segment, this.#to)
      if (n === -EAGAIN) outlet.isFull(texts.count)
      else if (n < 0) {
        // A device that cannot, or more than the path carries; else an error that was waiting. Each alone will tell.
        if (n === -EIO) outlet.mostSegment = 0
        else if (n === -EINVAL) outlet.mostSegment = this.#segment - 1
        this.#sendEach(outlet)
      }
    }
    texts.clear()
  }

  #sendEach(outlet: Outlet): void {
    const piece = this.#piece
    const texts = this.#texts
    for (let i = 0; i < texts.count; i++) {
      piece.at = texts.at[i]!
      piece.len = texts.len[i]!
      outlet.sendOne(piece, this.#to)
    }
  }
}
