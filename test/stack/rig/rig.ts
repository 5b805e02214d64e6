/**
 * A stack on a test bench: plain memory, a clock that the test winds, a link that records, and
 * nobody above it but the test. The guest's side is a {@link Peer}, the host's a {@link Host}.
 *
 *     peer.sends(…) ──► receive, flush ──► stack ──► link ──► peer.expects(…)
 *                                           │ ▲
 *                              ConnectionUser ▼ send, close …
 *                                          host
 */
import { key4 } from '../../../src/stack/flow-table.ts'
import {
  Arrival,
  type Departure,
  type Link,
  type Memory,
  memoryOf,
} from '../../../src/stack/link.ts'
import { CHUNK } from '../../../src/stack/pool.ts'
import { type Datagram, Stack, type StackOptions, type Upper } from '../../../src/stack/stack.ts'
import type { CongestionName } from '../../../src/stack/tcp/congestion.ts'
import type { Connection } from '../../../src/stack/tcp/connection.ts'
import type { SynRequest } from '../../../src/stack/tcp/syn-request.ts'
import type { TcpLimits } from '../../../src/stack/tcp/tcp.ts'
import * as address from '../../../src/stack/wire/address.ts'
import * as ethernet from '../../../src/stack/wire/ethernet.ts'
import { cut, fail, inspect, type Octets, viewOf } from './frames.ts'
import { Host } from './host.ts'
import { assertInvariants } from './invariants.ts'
import { line } from './packets.ts'
import { Peer, type PeerOptions } from './peer.ts'
import { seededRandom } from './random.ts'
import { VirtualClock } from './virtual-clock.ts'

export const ip = (text: string): number => address.parseIpv4(text) ?? fail(`no address: ${text}`)

export const NETWORK: number = ip('10.0.2.0')
export const GATEWAY: number = ip('10.0.2.2')
export const DNS: number = ip('10.0.2.3')
export const GUEST: number = ip('10.0.2.100')
export const HOST: number = ip('192.0.2.7')
export const STACK_MAC = Uint8Array.of(0x52, 0x55, 10, 0, 2, 2)
export const GUEST_MAC = Uint8Array.of(0x02, 0, 0, 0, 0, 0x64)

export interface RigOptions {
  mtu?: number
  limits?: Partial<TcpLimits>
  /** Chunks of the pool. */
  chunks?: number
  congestion?: CongestionName
  /** Of the link. */
  gsoIpv4MaxSize?: number
  seed?: number
  /** Connections have not sent any text yet. Default: false. */
  fresh?: boolean
}

/** What stands before the pool: headers, a held frame, a datagram put together; to spare. */
const STACK_OVERHEAD = 256 * 1024
/** Frames that are kept, and one more of the greatest length. */
const KEPT_LEN = 192 * 1024
const ARRIVAL_LEN = KEPT_LEN + 68 * 1024
/** What nobody may read: octets that were borrowed, and those behind a frame. */
const GONE = 0xdd

export interface ReceivedDatagram {
  readonly key: Int32Array
  readonly text: Octets
}

export class Rig implements Upper {
  readonly memory: Memory
  readonly stack: Stack
  readonly clock: VirtualClock
  /** Frames of the stack that nobody has looked at yet, in order. */
  readonly frames: Octets[] = []
  /** The text of each departure, in octets, before it was cut; and the size it was cut to. */
  readonly departures: { text: number; gsoSize: number }[] = []
  /** SYNs of the guest that wait for an answer. */
  readonly requests: SynRequest[] = []
  readonly datagrams: ReceivedDatagram[] = []
  /** Echo requests to the outside: whole ICMP messages. */
  readonly echoes: ReceivedDatagram[] = []
  /** Called with each datagram, while it is there. */
  onDatagram: ((datagram: Datagram) => void) | undefined
  readonly mtu: number
  readonly #arrival = new Arrival()
  readonly #arrivalAt: number
  readonly #isFresh: boolean

  constructor(options: RigOptions = {}) {
    const { mtu = 1500, chunks = 64, seed = 1 } = options
    this.#isFresh = options.fresh === true
    const end = STACK_OVERHEAD + chunks * CHUNK
    this.memory = memoryOf(new Uint8Array(end + ARRIVAL_LEN))
    this.mtu = mtu
    this.#arrivalAt = end
    const link: Link = { transmit: (departure) => this.#transmit(departure) }
    this.stack = new Stack({
      memory: this.memory,
      at: 0,
      end,
      link,
      mtu,
      mac: STACK_MAC,
      subnet: { network: NETWORK, prefix: 24 },
      addresses: [GATEWAY, DNS],
      limits: {
        sendBuffer: 256 * 1024,
        receiveBuffer: 256 * 1024,
        connections: 100,
        halfOpen: 50,
        ...options.limits,
      },
      congestion: options.congestion,
      gsoIpv4MaxSize: options.gsoIpv4MaxSize,
      random: seededRandom(seed),
    } satisfies StackOptions)
    this.stack.upper = this
    this.clock = new VirtualClock(startOf(this.stack))
    this.clock.attach(this.stack)
  }

  // --- what the stack calls ---

  #transmit(departure: Departure): void {
    const { slices, gsoSize, gsoType } = departure
    const frames = cut(this.memory, departure)
    for (const frame of frames) {
      if (!ethernet.isTo(viewOf(frame), ethernet.SRC, STACK_MAC)) fail('a frame of another MAC')
      if (ethernet.type(viewOf(frame), 0) === ethernet.IPV4) inspect(frame, this.mtu)
    }
    this.departures.push({ text: slices.total - slices.len[0]!, gsoSize: gsoType ? gsoSize : 0 })
    this.frames.push(...frames)
  }

  synArrives(request: SynRequest): void {
    this.requests.push(request)
  }

  datagramArrives(datagram: Datagram): void {
    const { key, at, len } = datagram
    this.datagrams.push({ key: key.slice(), text: this.memory.bytes.slice(at, at + len) as Octets })
    this.onDatagram?.(datagram)
  }

  echoArrives(echo: Datagram): void {
    const { key, at, len } = echo
    this.echoes.push({ key: key.slice(), text: this.memory.bytes.slice(at, at + len) as Octets })
  }

  // --- what the test calls ---

  /** A frame arrives; `flush` ends the batch. `udpSegment`: it is a super-datagram of such. */
  receive(frame: Uint8Array, checksummed = false, udpSegment = 0): void {
    this.#arrives(frame, this.#arrivalAt, { checksummed, udpSegment, more: false })
    this.#letGo(this.#arrivalAt + frame.length)
  }

  /** A batch of frames arrives, as the data plane hands it on: one stays until all are there, and `flush` ends it. */
  receiveBatch(frames: readonly Uint8Array[]): void {
    let at = this.#arrivalAt
    frames.forEach((frame, i) => {
      if (at > this.#arrivalAt + KEPT_LEN) at = this.#letGo(at)
      this.#arrives(frame, at, { checksummed: false, udpSegment: 0, more: i < frames.length - 1 })
      at += frame.length
    })
    this.#letGo(at)
  }

  #arrives(frame: Uint8Array, at: number, more: Omit<Arrival, 'at' | 'end'>): void {
    this.memory.bytes.set(frame, at)
    this.stack.receive(
      Object.assign(this.#arrival, more, { at, end: at + frame.length }),
      this.clock.now,
    )
  }

  #letGo(end: number): number {
    this.stack.gather(this.clock.now)
    this.memory.bytes.fill(GONE, this.#arrivalAt, end)
    return this.#arrivalAt
  }

  flush(): void {
    const touched: Connection[] = []
    for (let c = this.stack.tcp.firstTouched; c !== undefined; c = c.nextTouched) touched.push(c)
    this.stack.flush(this.clock.now)
    for (const c of touched) assertInvariants(c)
  }

  peer(options?: PeerOptions): Peer {
    return new Peer(this, options)
  }

  /** Answers the oldest SYN that waits, and the batch ends. */
  accept(prepare?: (host: Host) => void): Host {
    const host = this.answer(prepare)
    this.flush()
    return host
  }

  /** The same, but nothing has gone yet. */
  answer(prepare?: (host: Host) => void): Host {
    const request = this.requests.shift() ?? fail('no SYN waits for an answer')
    const host = new Host(this)
    prepare?.(host)
    host.c = request.accept(host, this.clock.now)
    this.#age(host.c)
    return host
  }

  /** Unless it is to be a fresh one, it is as if text had been sent: then nothing waits for a first answer. */
  #age(c: Connection): void {
    if (!this.#isFresh) c.sentAt = this.clock.now
  }

  /** Opens a connection to the guest's side of `peer`. */
  connect(peer: Peer): Host {
    const host = new Host(this)
    const neighbour = this.stack.neighbours.find(peer.key)
    host.c = this.stack.tcp.connect(peer.key, neighbour, host, this.clock.now)
    this.#age(host.c)
    this.flush()
    return host
  }

  /** Frames that nobody has looked at, in a line each (packets.ts). */
  lines(): string[] {
    return this.frames.splice(0).map(line)
  }

  /** The octets that all queues hold, in chunks. */
  get chunksTaken(): number {
    return this.stack.pool.size - this.stack.pool.free
  }

  get drop(): Stack['counters']['drop'] {
    return this.stack.counters.drop
  }
}

/**
 * The time, in whole ms, at which the connection of an ordinary peer gets an ISN just before the
 * wrap (RFC 6528: ISN = M + F(4-tuple), and M advances by 250 a ms): so that every test wraps.
 */
function startOf(stack: Stack): number {
  const key = new Int32Array(9)
  key4(key, GUEST, 40_000, HOST, 80)
  const c = stack.tcp.connect(key, stack.neighbours.find(key), undefined as never, 0)
  const wanted = (-2 - c.iss) & ~1
  stack.tcp.remove(c)
  stack.flush(0)
  // 250 T = wanted (mod 2^32), and wanted is even: T = wanted / 2 · 125⁻¹ (mod 2^31).
  const half = BigInt.asUintN(31, BigInt(wanted) >> 1n)
  return Number(BigInt.asUintN(31, half * inverse(125n, 31)))
}

/** The inverse of an odd number modulo 2^bits. */
function inverse(of: bigint, bits: number): bigint {
  let x = 1n
  for (let i = 0; i < 6; i++) x = BigInt.asUintN(bits, x * (2n - of * x))
  return x
}
