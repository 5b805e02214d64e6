/**
 * Two stacks joined by two lossy links. Each holds the other's address for a guest's: the left one
 * is 10.0.2.2 and has 10.0.2.100 for a guest, the right one the other way round.
 */
import { KEY_WORDS, key4 } from '../../../src/stack/flow-table.ts'
import { Arrival, type Memory, memoryOf } from '../../../src/stack/link.ts'
import { CHUNK } from '../../../src/stack/pool.ts'
import { Slices } from '../../../src/stack/slices.ts'
import { Stack, type Upper } from '../../../src/stack/stack.ts'
import type { CongestionName } from '../../../src/stack/tcp/congestion.ts'
import * as tcp from '../../../src/stack/tcp/connection.ts'
import type { TcpLimits } from '../../../src/stack/tcp/tcp.ts'
import * as ethernet from '../../../src/stack/wire/ethernet.ts'
import * as ipv4 from '../../../src/stack/wire/ipv4.ts'
import * as wire from '../../../src/stack/wire/tcp.ts'
import { complete, cut, fail, IP, type Octets, TRANSPORT, viewOf } from './frames.ts'
import { assertInvariants } from './invariants.ts'
import { type LinkOptions, LossyLink } from './lossy-link.ts'
import { firstWrong, octetAt, seededRandom } from './random.ts'
import { GATEWAY, GUEST, GUEST_MAC, NETWORK, STACK_MAC } from './rig.ts'
import { VirtualClock } from './virtual-clock.ts'

export interface PairOptions extends LinkOptions {
  seed?: number
  mtu?: number
  chunks?: number
  congestion?: CongestionName
  limits?: Partial<TcpLimits>
  /** TCP options that never get through, by kind: for a SYN without them. */
  strips?: readonly number[]
}

/** Kinds of options, to be stripped. */
export const WINDOW_SCALE = 3
export const SACK_PERMITTED = 4
export const TIMESTAMP = 8

const STACK_OVERHEAD = 256 * 1024
const ARRIVAL_LEN = 68 * 1024

/** One stack, and its way to the other. */
export class Side implements Upper {
  readonly stack: Stack
  readonly memory: Memory
  readonly outbound: LossyLink
  readonly #pair: Pair
  readonly #arrival = new Arrival()
  readonly #arrivalAt: number
  /** Whoever uses the next connection that arrives. */
  next: Talker | undefined

  constructor(pair: Pair, options: PairOptions, isLeft: boolean, random: () => number) {
    this.#pair = pair
    const end = STACK_OVERHEAD + (options.chunks ?? 64) * CHUNK
    this.memory = memoryOf(new Uint8Array(end + ARRIVAL_LEN))
    this.#arrivalAt = end
    // Of its own, so that what is lost is not another frame for each number that a stack draws.
    this.outbound = new LossyLink(options, seededRandom((options.seed ?? 1) + (isLeft ? 100 : 200)))
    this.stack = new Stack({
      memory: this.memory,
      at: 0,
      end,
      link: {
        transmit: (departure) => {
          for (const frame of cut(this.memory, departure)) {
            strip(frame, options.strips ?? [])
            this.outbound.send(frame, pair.clock.now)
          }
        },
      },
      mtu: options.mtu ?? 1500,
      mac: isLeft ? STACK_MAC : GUEST_MAC,
      subnet: { network: NETWORK, prefix: 24 },
      addresses: [isLeft ? GATEWAY : GUEST],
      limits: {
        sendBuffer: 128 * 1024,
        receiveBuffer: 128 * 1024,
        connections: 100,
        halfOpen: 50,
        ...options.limits,
      },
      congestion: options.congestion,
      random,
    })
    this.stack.upper = this
  }

  receive(frame: Octets, now: number): void {
    this.memory.bytes.set(frame, this.#arrivalAt)
    this.#arrival.at = this.#arrivalAt
    this.#arrival.end = this.#arrivalAt + frame.length
    this.stack.receive(this.#arrival, now)
    this.memory.bytes.fill(0xdd, this.#arrivalAt, this.#arrival.end)
    this.stack.flush(now)
    for (const c of this.stack.tcp.connections.entries()) assertInvariants(c)
  }

  synArrives(request: Parameters<Upper['synArrives']>[0]): void {
    const talker = this.next ?? fail('nobody waits for a connection')
    talker.c = request.accept(talker, this.#pair.clock.now)
  }

  datagramArrives(): void {}
  echoArrives(): void {}
}

/** Puts NOPs in the place of options of a SYN. */
function strip(frame: Octets, kinds: readonly number[]): void {
  const v = viewOf(frame)
  if (kinds.length === 0 || ethernet.type(v, 0) !== ethernet.IPV4) return
  if (ipv4.protocol(v, IP) !== ipv4.TCP || !(wire.ctl(v, TRANSPORT) & wire.SYN)) return
  const end = TRANSPORT + wire.headerLen(v, TRANSPORT)
  for (let at = TRANSPORT + wire.HEADER_LEN; at < end; ) {
    const len = frame[at]! < 2 ? 1 : frame[at + 1]!
    if (kinds.includes(frame[at]!)) frame.fill(1, at, at + len)
    at += len
  }
  complete(frame, wire.CHECKSUM)
}

export class Pair {
  readonly clock = new VirtualClock(1000)
  readonly left: Side
  readonly right: Side

  constructor(options: PairOptions = {}) {
    const random = seededRandom(options.seed ?? 1)
    this.left = new Side(this, options, true, random)
    this.right = new Side(this, options, false, random)
    this.clock.attach(this.left.stack)
    this.clock.attach(this.right.stack)
    this.#join(this.left, this.right)
    this.#join(this.right, this.left)
  }

  #join(from: Side, to: Side): void {
    this.clock.attach({
      deadline: () => from.outbound.deadline(),
      timeout: (now) => {
        for (let f = from.outbound.take(now); f !== undefined; f = from.outbound.take(now)) {
          to.receive(f, now)
        }
      },
    })
  }

  /** Opens a connection from the left to the right. */
  open(left: Talker, right: Talker, port = 5000): void {
    const { stack } = this.left
    this.right.next = right
    const key = new Int32Array(KEY_WORDS)
    key4(key, GUEST, port, GATEWAY, 5001)
    left.c = stack.tcp.connect(key, stack.neighbours.find(key), left, this.clock.now)
    stack.flush(this.clock.now)
  }

  /** Lets time pass until `isDone`, or until `limit` ms have passed, which is a failure. */
  run(isDone: () => boolean, limit: number): void {
    const end = this.clock.now + limit
    while (!isDone()) {
      const next = this.clock.deadline()
      if (next > end) fail(`not done after ${limit} ms; ${this.describe()}`)
      this.clock.advanceTo(Math.max(next, this.clock.now))
    }
  }

  describe(): string {
    const parts: string[] = []
    for (const side of [this.left, this.right]) {
      for (const c of side.stack.tcp.connections.entries()) {
        const { state, sndWnd, rcvQueued, recovery, retransmits, isProbing, finQueued } = c
        parts.push(
          JSON.stringify({
            ...{ state, sndWnd, rcvQueued, recovery, retransmits, isProbing, finQueued },
            ...{ flight: tcp.flightSize(c), queue: c.sendQueue.length, cwnd: c.congestion.cwnd },
            ...{ wnd: tcp.rcvWnd(c), deadline: c.deadline - this.clock.now, rto: c.rto.rto },
          }),
        )
      }
    }
    return parts.join('\n')
  }
}

export interface TalkerOptions {
  /** How many octets it says before it closes. */
  says: number
  /** Which stream its octets are of; the other's. */
  salt: number
  hears: number
  /** Octets that it takes at most each time it is asked; Infinity: everything at once. */
  appetite?: number
  /** ms between its meals, when its appetite has an end. */
  pause?: number
  /** It does not close when it has said what it says. */
  stays?: boolean
}

/** When the pool is empty the talker asks again after this many ms, as a flow of src/nat does. */
const POOL_RETRY = 5

/** Somebody who says so much, hears what the other says, and closes. */
export class Talker implements tcp.ConnectionUser {
  c!: tcp.Connection
  said = 0
  heard = 0
  hasHeardEnd = false
  reason: tcp.CloseReason | undefined
  #nextMeal = Infinity
  #nextTry = Infinity
  readonly #side: Side
  readonly #pair: Pair
  readonly #options: Required<TalkerOptions>
  readonly #slices = new Slices(64)

  constructor(pair: Pair, side: Side, options: TalkerOptions) {
    this.#pair = pair
    this.#side = side
    this.#options = { appetite: Infinity, pause: 10, stays: false, ...options }
    pair.clock.attach({
      deadline: () => this.#nextTry,
      timeout: (now) => {
        this.#nextTry = Infinity
        this.#says()
        side.stack.flush(now)
      },
    })
    if (this.#options.appetite < Infinity) {
      pair.clock.attach({
        deadline: () => this.#nextMeal,
        timeout: (now) => {
          this.#nextMeal = Infinity
          this.#eats(this.#options.appetite)
          side.stack.flush(now)
        },
      })
    }
  }

  get isDone(): boolean {
    return this.reason !== undefined && this.c.rcvQueued === 0
  }

  established(): void {
    this.#says()
  }

  writable(): void {
    this.#says()
  }

  #says(): void {
    const { says, salt, stays } = this.#options
    while (this.said < says) {
      const slices = this.#slices
      slices.clear()
      tcp.reserve(this.c, Math.min(says - this.said, tcp.sendRoom(this.c)), slices)
      if (slices.total === 0) {
        if (tcp.sendRoom(this.c) > 0) this.#nextTry = this.#pair.clock.now + POOL_RETRY
        return
      }
      for (let i = 0; i < slices.count; i++) {
        const at = slices.at[i]!
        for (let k = 0; k < slices.len[i]!; k++) {
          this.#side.memory.bytes[at + k] = octetAt(salt, this.said++)
        }
      }
      tcp.sent(this.c, slices.total)
    }
    if (!stays) tcp.close(this.c)
  }

  text(_c: tcp.Connection, { at, len, count, total }: Slices): number {
    if (this.#options.appetite < Infinity) {
      this.#waits()
      return 0
    }
    for (let i = 0; i < count; i++) this.#hears(at[i]!, len[i]!)
    return total
  }

  readable(): void {
    if (this.#options.appetite === Infinity) this.#eats(Infinity)
    else this.#waits()
  }

  #waits(): void {
    if (this.#nextMeal === Infinity) this.#nextMeal = this.#pair.clock.now + this.#options.pause
  }

  #eats(appetite: number): void {
    let left = Math.min(appetite, this.c.rcvQueued)
    while (left > 0) {
      const slices = this.#slices
      slices.clear()
      tcp.unread(this.c, slices)
      const n = Math.min(left, slices.len[0]!)
      this.#hears(slices.at[0]!, n)
      tcp.consume(this.c, n)
      left -= n
    }
    if (this.c.rcvQueued > 0) this.#waits()
  }

  #hears(at: number, len: number): void {
    const { salt, hears } = this.#options
    const text = this.#side.memory.bytes.subarray(at, at + len)
    const wrong = firstWrong(salt ^ 1, this.heard, text)
    if (wrong >= 0) fail(`octet ${this.heard + wrong} is not what was said`)
    this.heard += len
    if (this.heard > hears) fail(`${this.heard} octets heard of ${hears} said`)
  }

  finArrived(): void {
    if (this.hasHeardEnd) fail('two ends')
    this.hasHeardEnd = true
    const heard = this.heard + this.c.rcvQueued
    if (heard !== this.#options.hears)
      fail(`the end after ${heard} of ${this.#options.hears} octets`)
  }

  closed(_c: tcp.Connection, reason: tcp.CloseReason): void {
    if (this.reason !== undefined) fail('closed twice')
    this.reason = reason
    if (reason !== 'finished') tcp.discard(this.c)
  }
}
