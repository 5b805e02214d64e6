/**
 * A whole stack, of both IP versions, under fire: everything that must hold is looked at after each
 * frame, and every frame of its own is looked at as well.
 */
import { KEY_WORDS } from '../../../src/stack/flow-table.ts'
import { Arrival, type Departure, type Memory, memoryOf } from '../../../src/stack/link.ts'
import { CHUNK } from '../../../src/stack/pool.ts'
import { HEADERS_LEN, Segmenter } from '../../../src/stack/segment.ts'
import { type Datagram, Stack, type Upper } from '../../../src/stack/stack.ts'
import type { Connection } from '../../../src/stack/tcp/connection.ts'
import type { SynRequest } from '../../../src/stack/tcp/syn-request.ts'
import * as ethernet from '../../../src/stack/wire/ethernet.ts'
import * as ipv4 from '../../../src/stack/wire/ipv4.ts'
import * as ipv6 from '../../../src/stack/wire/ipv6.ts'
import * as tcp from '../../../src/stack/wire/tcp.ts'
import { fail, gather, IP, inspect, type Octets, TRANSPORT, viewOf } from '../rig/frames.ts'
import { assertInvariants } from '../rig/invariants.ts'
import { fragmentsOf } from '../rig/packets.ts'
import { firstWrong, TO_GUEST } from '../rig/random.ts'
import { DNS, GATEWAY, GUEST_MAC, NETWORK, STACK_MAC } from '../rig/rig.ts'
import { GATEWAY6, line6, TRANSPORT6, words } from '../rig/rig6.ts'
import { VirtualClock } from '../rig/virtual-clock.ts'
import type { Dice } from './dice.ts'
import { mapped } from './grammar.ts'
import { FuzzUser } from './user.ts'

const MTU = 1500
const CHUNKS = 24
const OVERHEAD = 256 * 1024
const POOL_END = OVERHEAD + CHUNKS * CHUNK
const ARRIVAL = POOL_END + HEADERS_LEN
const FRAME_LEN = 68 * 1024
/** Several frames may be kept. */
const END = ARRIVAL + 4 * FRAME_LEN
const LIMITS = { sendBuffer: 65_536, receiveBuffer: 65_536, connections: 8, halfOpen: 6 }
/** Frames that one batch of the guest may set free: two windows full of the smallest segments. */
const MOST_ANSWERS = 2 * Math.ceil(LIMITS.sendBuffer / 36)
const GONE = 0xdd

export class Target implements Upper {
  readonly stack: Stack
  readonly clock = new VirtualClock(1_000_000.25)
  readonly users = new Map<Connection, FuzzUser>()
  readonly requests: SynRequest[] = []
  /** Damaged frames come with right checksums: octets of the guest cannot be checked. */
  isSpoilt = false
  /** Ports of a guest whose text is its own. */
  readonly foreign: ReadonlySet<number>
  readonly #dice: Dice
  readonly #memory: Memory
  readonly #arrival = new Arrival()
  readonly #segmenter: Segmenter
  readonly #key = new Int32Array(KEY_WORDS)
  #sent = 0
  /** Where the next frame is put. */
  #next = ARRIVAL
  /** Chunks that somebody else has. */
  readonly #starved: number[] = []

  constructor(dice: Dice, foreign: ReadonlySet<number>) {
    this.#dice = dice
    this.foreign = foreign
    this.#memory = memoryOf(new Uint8Array(END))
    this.#segmenter = new Segmenter(this.#memory, POOL_END)
    const look = (frame: Departure): number => this.#look(gather(this.#memory, frame))
    this.stack = new Stack({
      memory: this.#memory,
      at: 0,
      end: POOL_END,
      link: { transmit: (departure) => void this.#segmenter.emit(departure, look) },
      mtu: MTU,
      mac: STACK_MAC,
      subnet: { network: NETWORK, prefix: 24 },
      addresses: [GATEWAY, DNS],
      ipv6: {
        prefix: words('fd00::'),
        gateway: words(GATEWAY6),
        dns: words('fd00::3'),
        linkLocal: words('fe80::2'),
        advertiseDns: true,
      },
      limits: LIMITS,
      fragments: 3,
      random: dice.bits,
    })
    this.stack.upper = this
    this.clock.attach(this.stack)
    this.clock.advance(0)
  }

  connections(): readonly Connection[] {
    return this.stack.tcp.connections.entries()
  }

  // --- what the stack calls ---

  /** A frame of the stack, cut and summed. */
  #look(frame: Octets): number {
    this.#sent++
    const v = viewOf(frame)
    const type = ethernet.type(v, 0)
    if (type === ethernet.IPV4) {
      inspect(frame, MTU)
      if (ipv4.protocol(v, IP) === ipv4.TCP) this.#lookAtSegment(frame, TRANSPORT)
    } else if (type === ethernet.IPV6) {
      line6(frame, MTU)
      if (ipv6.nextHeader(v, IP) === ipv4.TCP) this.#lookAtSegment(frame, TRANSPORT6)
    } else if (type !== ethernet.ARP) fail(`EtherType ${type}`)
    return frame.length
  }

  /** The text of the host is what its user said, and within what the guest's window ever let. */
  #lookAtSegment(frame: Octets, at: number): void {
    const v = viewOf(frame)
    const key = this.#key
    if (at === TRANSPORT) {
      key.set(mapped(ipv4.dst(v, IP)))
      key.set(mapped(ipv4.src(v, IP)), 4)
    } else {
      ipv6.readAddress(v, IP + ipv6.DST, key, 0)
      ipv6.readAddress(v, IP + ipv6.SRC, key, 4)
    }
    key[8] = (tcp.dstPort(v, at) << 16) | tcp.srcPort(v, at)
    const c = this.stack.tcp.connections.get(key)
    const text = frame.subarray(at + tcp.headerLen(v, at))
    if (c === undefined || text.length === 0) return
    const from = (tcp.seq(v, at) - c.iss - 1) | 0
    const wrong = firstWrong(TO_GUEST, from, text)
    if (wrong >= 0) fail(`octet ${from + wrong} of the host is not what was given`)
    if (from + text.length > this.users.get(c)!.given) fail('more is sent than was given')
  }

  synArrives(request: SynRequest): void {
    this.requests.push(request)
    request.onGivenUp = () => this.requests.splice(this.requests.indexOf(request), 1)
    if (this.#dice.chance(0.5)) this.answers()
  }

  datagramArrives(datagram: Datagram): void {
    const { stack } = this
    if (datagram.len < 0) fail('a datagram of less than nothing')
    if (this.#dice.chance(0.2)) stack.refuseDatagram(datagram, 'port-unreachable', this.clock.now)
    else if (this.#dice.chance(0.3) && datagram.len < 9000) {
      const { key, neighbour, at, len } = datagram
      stack.transmitter.sendUdp(key.slice(), neighbour, at, len, this.clock.now)
    }
  }

  echoArrives(): void {}

  // --- what the fuzz does ---

  /** A frame arrives, now and then in fragments. */
  receive(frame: Octets): void {
    const pieces = this.#dice.chance(0.05) ? this.#fragmentsOf(frame) : [frame]
    for (const piece of pieces) this.#arrives(piece)
  }

  #fragmentsOf(frame: Octets): Octets[] {
    const id = this.#dice.below(0x10000)
    const isTooSmall = frame.length < TRANSPORT + 16 // of eight octets each
    if (isTooSmall || ethernet.type(viewOf(frame), 0) !== ethernet.IPV4) return [frame]
    return fragmentsOf(frame, id)
  }

  /** Now and then more follow before anything is sent, or before it is looked at. */
  #arrives(frame: Octets): void {
    this.#sent = 0
    const length = Math.min(frame.length, FRAME_LEN)
    const at = this.#next
    this.#memory.bytes.set(frame.subarray(0, length), at)
    this.#arrival.at = at
    this.#arrival.end = this.#next = at + length
    this.#arrival.checksummed = this.isSpoilt && this.#dice.chance(0.2)
    this.#arrival.more = this.#dice.chance(0.5)
    this.stack.receive(this.#arrival, this.clock.now)
    if (!this.#arrival.more || this.#next > END - FRAME_LEN) this.#letGo()
    if (this.#dice.chance(0.7)) this.flush()
    if (this.#sent > MOST_ANSWERS) fail(`${this.#sent} frames for one`)
  }

  #letGo(): void {
    this.stack.gather(this.clock.now)
    this.#memory.bytes.fill(GONE, ARRIVAL, this.#next)
    this.#next = ARRIVAL
  }

  flush(): void {
    this.stack.flush(this.clock.now)
    this.check()
  }

  /** What must hold whenever nothing is going on. */
  check(): void {
    const { tcp, pool } = this.stack
    const connections = this.connections()
    for (const c of connections) assertInvariants(c)
    let chunks = 0
    for (const c of connections) chunks += chunksOf(c)
    for (const [c, user] of this.users) {
      if (c.state !== 'CLOSED') continue
      chunks += chunksOf(c)
      if (user.isOver && c.rcvQueued === 0) this.users.delete(c)
    }
    const taken = pool.size - pool.free - this.#starved.length
    // A chunk at either end of a queue may be used in part.
    if (taken > chunks) fail(`${taken} chunks are taken, for queues that need ${chunks}`)
    if (tcp.requests.size > LIMITS.halfOpen) fail(`${tcp.requests.size} requests`)
    const synReceived = connections.filter(({ state }) => state === 'SYN-RECEIVED').length
    if (tcp.halfOpen.size !== synReceived) fail(`${tcp.halfOpen.size} are not in SYN-RECEIVED`)
    if (tcp.requests.size !== this.requests.length) fail('a request is forgotten, or kept')
  }

  /** The host answers the oldest SYN, one way or the other. */
  answers(): void {
    const request = this.requests.shift()
    if (request === undefined) return
    const dice = this.#dice
    const { now } = this.clock
    const roll = dice.below(10)
    if (roll === 0) request.refuse()
    else if (roll === 1) request.fail(dice.pick(['host-unreachable', 'prohibited']), now)
    else if (roll === 2) request.forget()
    else {
      const user = this.#newUser()
      user.isSpoilt ||= this.foreign.has(request.key[8]! >>> 16)
      user.c = request.accept(user, now)
      this.users.set(user.c, user)
    }
  }

  #newUser(): FuzzUser {
    const user = new FuzzUser(this.#dice, this.#memory.bytes)
    user.isSpoilt = this.isSpoilt
    return user
  }

  /** The host opens a connection to the guest. */
  connects(key: Int32Array): void {
    const { tcp, neighbours } = this.stack
    if (
      tcp.whatIsFull() !== undefined ||
      tcp.connections.get(key) !== undefined ||
      tcp.requests.get(key)
    )
      return
    const neighbour = neighbours.learn(key, this.#macPlace())
    const user = this.#newUser()
    user.c = tcp.connect(key, neighbour, user, this.clock.now)
    this.users.set(user.c, user)
    this.flush()
  }

  /** Others take what the pool has, or give it back. */
  starves(): void {
    const { pool } = this.stack
    const chunks = this.#starved
    if (chunks.length > 0) for (const chunk of chunks.splice(0)) pool.give(chunk)
    else while (pool.free > this.#dice.below(3)) chunks.push(pool.take())
  }

  /** Datagrams of the host for a guest that perhaps nobody has seen. */
  calls(key: Int32Array): void {
    const { neighbours, transmitter } = this.stack
    const neighbour = neighbours.find(key)
    for (let i = this.#dice.between(1, 12); i > 0; i--) {
      transmitter.sendUdp(key, neighbour, ARRIVAL, this.#dice.below(100), this.clock.now)
    }
  }

  /** Where the guest's MAC can be read from. */
  #macPlace(): number {
    this.#memory.bytes.set(GUEST_MAC, ARRIVAL)
    return ARRIVAL
  }

  /** Everybody goes; and nothing is left behind. */
  end(): void {
    const { stack, clock } = this
    if (this.#starved.length > 0) this.starves()
    this.flush()
    for (const request of this.requests.splice(0)) request.refuse()
    for (const [c, user] of this.users) {
      if (user.isOver) user.reads(c.rcvQueued)
      else stack.tcp.abort(c, 'aborted')
    }
    this.flush()
    clock.advance(200_000)
    if (stack.tcp.connections.size > 0) fail(`${stack.tcp.connections.size} connections are left`)
    if (stack.tcp.requests.size > 0) fail('a request is left')
    if (stack.pool.free !== stack.pool.size) fail('chunks are left')
    if (stack.tcp.segments.used > 0) fail('segments are left')
    if (stack.tcp.deadlines.next() < Infinity) fail('a deadline is left')
  }
}

/** The most chunks that a connection's queues may hold. */
const chunksOf = ({ sendQueue, recvQueue }: Connection): number =>
  needed(sendQueue.length) + needed(recvQueue.length)

const needed = (octets: number): number => (octets === 0 ? 0 : Math.ceil(octets / CHUNK) + 1)
