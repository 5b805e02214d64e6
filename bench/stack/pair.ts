/**
 * Two stacks in one memory, each the other's guest, joined by links that copy: frames wait in a ring
 * until the sender's turn is over, as a TAP's do. Nothing is allocated for a frame here, so that
 * what a run allocates is the stacks'. Time is a number that goes on by a little with each turn.
 *
 *   | left: stack, segmenter, ring | right: stack, segmenter, ring |
 */
import { KEY_WORDS, key4 } from '../../src/stack/flow-table.ts'
import { Arrival, type Departure, type Link, type Memory } from '../../src/stack/link.ts'
import { HEADERS_LEN, Segmenter } from '../../src/stack/segment.ts'
import { Slices } from '../../src/stack/slices.ts'
import { Stack, type Upper } from '../../src/stack/stack.ts'
import * as tcp from '../../src/stack/tcp/connection.ts'
import type { SynRequest } from '../../src/stack/tcp/syn-request.ts'
import { Arena } from '../../src/sys/arena.ts'

const STACK = 64 * 1024 * 1024
const SLOT = 68 * 1024
/** Frames that may wait; what is beyond is lost, as on a TAP. */
const RING = 1024
const SIDE = STACK + HEADERS_LEN + RING * SLOT

const LEFT = 0x0a000202
const RIGHT = 0x0a000264
const LEFT_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2)
const RIGHT_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0x64)

export interface PairOptions {
  mtu: number
  /** Super-segments stay whole, as with a TAP's offload; else each is cut and summed in software. */
  offload: boolean
  /** ms that go by with each turn. */
  tick: number
  /** Octets that a connection may have out: a MiB without it. */
  sendBuffer?: number
}

/** One stack, and the ring of frames for it. */
class End implements Upper {
  readonly stack: Stack
  readonly #memory: Memory
  readonly #ring: number
  /** What the other sent; frame `i` is in slot `i % RING`. */
  readonly #lens = new Int32Array(RING)
  #first = 0
  #count = 0
  frames = 0
  lost = 0
  readonly #arrival = new Arrival()
  user: tcp.ConnectionUser | undefined
  other!: End
  readonly #offload: boolean

  constructor(memory: Memory, at: number, options: PairOptions, addr: number, mac: Uint8Array) {
    const { mtu, offload } = options
    this.#memory = memory
    this.#ring = at + STACK + HEADERS_LEN + 2 // so that IP headers lie at a multiple of four
    this.#offload = offload
    const segmenter = offload ? undefined : new Segmenter(memory, at + STACK)
    const write = (frame: Departure): number => this.other.take(frame)
    const transmit = (departure: Departure): void => {
      if (segmenter !== undefined) segmenter.emit(departure, write)
      else write(departure)
    }
    this.stack = new Stack({
      memory,
      at,
      end: at + STACK,
      link: { transmit } satisfies Link,
      mtu,
      mac,
      subnet: { network: 0x0a000200, prefix: 24 },
      addresses: [addr],
      limits: {
        sendBuffer: options.sendBuffer ?? 1024 * 1024,
        receiveBuffer: 1024 * 1024,
        connections: 100,
        halfOpen: 100,
      },
      random: () => 12_345,
    })
    this.stack.upper = this
  }

  /** A frame of the other's: copied to a slot. */
  take({ slices }: Departure): number {
    if (this.#count === RING) {
      this.lost++
      return 0
    }
    const slot = (this.#first + this.#count) % RING
    let to = this.#ring + slot * SLOT
    for (let i = 0; i < slices.count; i++) {
      const at = slices.at[i]!
      this.#memory.bytes.copyWithin(to, at, at + slices.len[i]!)
      to += slices.len[i]!
    }
    this.#lens[slot] = slices.total
    this.#count++
    return slices.total
  }

  /** Receives what waits, `most` frames of it, and sends what that makes due. True when it did. */
  turn(now: number, most: number): boolean {
    const { stack } = this
    if (stack.deadline() <= now) stack.timeout(now)
    const n = Math.min(most, this.#count)
    for (let i = 0; i < n; i++) {
      const slot = this.#first
      this.#arrival.at = this.#ring + slot * SLOT
      this.#arrival.end = this.#arrival.at + this.#lens[slot]!
      this.#arrival.checksummed = this.#offload
      this.#arrival.more = i + 1 < n // what is in the ring stays until the other has its turn
      this.#first = (slot + 1) % RING
      this.#count--
      stack.receive(this.#arrival, now)
    }
    this.frames += n
    stack.flush(now)
    return n > 0
  }

  synArrives(request: SynRequest): void {
    request.accept(this.user!, now)
  }

  datagramArrives(): void {}
  echoArrives(): void {}
}

/** The time of both; `synArrives` knows no other. */
let now = 1000.25

/** Says as much as may be said, for ever, and hears everything. */
export class Talker implements tcp.ConnectionUser {
  c: tcp.Connection | undefined
  heard = 0
  said = 0
  /** Octets that are given at once, at most; 0: says nothing. */
  readonly #say: number
  readonly #slices = new Slices(128)

  constructor(say: number) {
    this.#say = say
  }

  established(c: tcp.Connection): void {
    this.c = c
    this.says()
  }

  writable(c: tcp.Connection): void {
    // As the NAT: one large read of the host's socket rather than many small ones.
    if (tcp.sendRoom(c) >= this.#say) this.says()
  }

  /** Says `len` octets, whatever they are; the flush is the pair's. */
  say(len: number): void {
    this.#slices.clear()
    tcp.reserve(this.c!, len, this.#slices)
    tcp.sent(this.c!, len)
    this.said += len
  }

  says(): void {
    const c = this.c!
    const slices = this.#slices
    while (this.#say > 0) {
      const room = Math.min(this.#say, tcp.sendRoom(c))
      if (room < this.#say) return
      slices.clear()
      tcp.reserve(c, room, slices)
      tcp.sent(c, slices.total)
      this.said += slices.total
    }
  }

  text(_c: tcp.Connection, { total }: Slices): number {
    if (total === undefined) throw new Error('it was told of text in another way') // of an older stack
    this.heard += total
    return total
  }

  readable(c: tcp.Connection): void {
    this.heard += c.rcvQueued
    tcp.consume(c, c.rcvQueued)
  }

  finArrived(): void {}

  closed(_c: tcp.Connection, reason: tcp.CloseReason): void {
    throw new Error(`closed: ${reason}`)
  }
}

export class MemoryPair {
  readonly left: End
  readonly right: End
  readonly #tick: number

  constructor(options: PairOptions) {
    const memory = new Arena(2 * SIDE)
    this.left = new End(memory, 0, options, LEFT, LEFT_MAC)
    this.right = new End(memory, SIDE, options, RIGHT, RIGHT_MAC)
    this.left.other = this.right
    this.right.other = this.left
    this.#tick = options.tick
  }

  /** Opens a connection from the left to the right. */
  open(left: Talker, right: Talker, port: number): void {
    const { stack } = this.left
    this.right.user = right
    const key = new Int32Array(KEY_WORDS)
    key4(key, RIGHT, port, LEFT, 5001)
    left.c = stack.tcp.connect(key, stack.neighbours.find(key), left, now)
    stack.flush(now)
    while (right.c === undefined) this.turn(16)
  }

  /** One turn of each: up to `most` frames. */
  turn(most: number): void {
    now += this.#tick
    const isBusy = this.left.turn(now, most)
    if (this.right.turn(now, most) || isBusy) return
    // Nothing was under way: time goes on to what is due.
    const next = Math.min(this.left.stack.deadline(), this.right.stack.deadline())
    if (next > now && next < Infinity) now = next
  }

  get frames(): number {
    return this.left.frames + this.right.frames
  }
}
