/**
 * Many datagrams that came, taken with one system call: recvmmsg(2).
 *
 * A batch has `most` places. The caller says where in its arena the octets of each go; the kernel's
 * structures lie in an arena of the batch's own. With UDP_GRO one that came may be several of one peer
 * in a row, `segment` octets each (the last may be shorter).
 *
 * Per place: mmsghdr (64) | iovec (16) | sockaddr (32) | control (64).
 */
import { Arena, addressOf } from './arena.ts'
import { MSG_DONTWAIT } from './constants.ts'
import { failure } from './io.ts'
import { libc } from './libc.ts'
import { Arrived, setMsghdr } from './message.ts'
import { setPointer } from './scratch.ts'
import { type Endpoint, getSockaddr, SOCKADDR6_LEN } from './sockaddr.ts'

const MMSGHDR_LEN = 64
const IOVEC_LEN = 16
const SOCKADDR_ROOM = 32
const CONTROL_ROOM = 64
const PLACE_LEN = MMSGHDR_LEN + IOVEC_LEN + SOCKADDR_ROOM + CONTROL_ROOM

// Within mmsghdr: struct msghdr, then how many octets came or went.
const NAME_LEN = 8
const CONTROL_FIELD = 32
const CONTROL_FIELD_LEN = 40
const FLAGS = 48
const TRANSFERRED = 56

export class Batch {
  readonly most: number
  /** Where the octets of each datagram go, and how many came. */
  readonly at: Int32Array
  readonly len: Int32Array
  /** The room for each datagram that comes. */
  readonly room: Int32Array
  /** The peer of each, written over with each call; `from` where the socket is asked for it (`tellWhereTo`). */
  readonly peers: readonly Endpoint[]
  /** Octets in one segment of it; 0 when it is a single datagram. */
  readonly segment: Int32Array
  /** msg_flags of what came: MSG_TRUNC when it was larger than the room. */
  readonly flags: Int32Array
  readonly #view: DataView
  readonly #base: number
  readonly #arrival = new Arrived()
  readonly #to: readonly Int32Array[]

  constructor(most: number) {
    const arena = new Arena(most * PLACE_LEN)
    this.most = most
    this.at = new Int32Array(most)
    this.len = new Int32Array(most)
    this.room = new Int32Array(most)
    this.peers = Array.from({ length: most }, () => ({ words: new Int32Array(4), port: 0 }))
    this.#to = Array.from({ length: most }, () => new Int32Array(4))
    this.segment = new Int32Array(most)
    this.flags = new Int32Array(most)
    this.#view = arena.view
    this.#base = addressOf(arena, 0, arena.size)
    for (let i = 0; i < most; i++) this.#link(i)
  }

  /** The pointers between the structures of a place never change. */
  #link(i: number): void {
    const place = i * MMSGHDR_LEN
    const name = this.#base + this.#sockaddr(i)
    setMsghdr(this.#view, place, name, 0, this.#base + this.#iovec(i), 1, 0, 0)
  }

  /**
   * Receives what is there, at most `count` datagrams, into `at[i]`, `room[i]` of the arena; returns
   * how many came, with `len`, `peers`, `segment`, `flags` of each, or -errno.
   */
  receive(fd: number, arena: Arena, count: number = this.most): number {
    const view = this.#view
    if (!(count >= 0 && count <= this.most)) {
      throw new RangeError(`${count} datagrams into a batch of ${this.most}`)
    }
    for (let i = 0; i < count; i++) {
      const place = i * MMSGHDR_LEN
      const iovec = this.#iovec(i)
      const room = this.room[i]!
      setPointer(view, iovec, addressOf(arena, this.at[i]!, room))
      view.setInt32(iovec + 8, room, true)
      view.setInt32(place + NAME_LEN, SOCKADDR6_LEN, true)
      setPointer(view, place + CONTROL_FIELD, this.#base + this.#control(i))
      view.setInt32(place + CONTROL_FIELD_LEN, CONTROL_ROOM, true)
    }
    for (;;) {
      const n = libc().recvmmsg(fd, this.#base, count, MSG_DONTWAIT, 0)
      if (n >= 0) {
        for (let i = 0; i < n; i++) this.#arrived(i)
        return n
      }
      const failed = failure()
      if (failed < 0) return failed
    }
  }

  #arrived(i: number): void {
    const view = this.#view
    const place = i * MMSGHDR_LEN
    this.len[i] = view.getInt32(place + TRANSFERRED, true)
    this.flags[i] = view.getInt32(place + FLAGS, true)
    if (view.getInt32(place + NAME_LEN, true) > 0) {
      getSockaddr(view, this.#sockaddr(i), this.peers[i]!)
    }
    const control = this.#control(i)
    const arrival = this.#arrival
    arrival.read(view, control, control + view.getInt32(place + CONTROL_FIELD_LEN, true))
    this.segment[i] = arrival.segment
    const peer = this.peers[i]!
    peer.from = undefined
    if (arrival.hasTo) {
      peer.from = this.#to[i]!
      peer.from.set(arrival.to)
    }
  }

  #iovec(i: number): number {
    return this.most * MMSGHDR_LEN + i * IOVEC_LEN
  }

  #sockaddr(i: number): number {
    return this.most * (MMSGHDR_LEN + IOVEC_LEN) + i * SOCKADDR_ROOM
  }

  #control(i: number): number {
    return this.most * (MMSGHDR_LEN + IOVEC_LEN + SOCKADDR_ROOM) + i * CONTROL_ROOM
  }
}
