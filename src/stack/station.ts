/**
 * A station on an Ethernet: one IPv4 address with TCP, UDP, ARP and echo, as a function of bytes and time.
 *
 *     receive(frame, now)                          a frame came
 *     timeout(now), when `deadline()` is here      time has passed
 *     write() …, then flush(now)                   the user has done something
 *
 * and each of them calls `transmit` with the frames that it makes due. It has no clock, no timer and no chance of its
 * own, so a test that gives it all three sees the same run each time.
 *
 * Underneath is the stack that slipway gives to containers, which takes every station of the subnet for a guest of its
 * own. It answers nobody outside the subnet, and there is no router.
 */
import type { Counters } from './counters.ts'
import { KEY_WORDS, key4 } from './flow-table.ts'
import { Arrival, type Departure, type Memory, memoryOf } from './link.ts'
import { CHUNK } from './pool.ts'
import { HEADERS_LEN, Segmenter } from './segment.ts'
import { type Datagram, OVERHEAD, Stack } from './stack.ts'
import { type Peer, Stream, type StreamHandler, StreamUser } from './stream.ts'
import type { SynRequest } from './tcp/syn-request.ts'
import { formatIpv4, isIn, mask, parseIpv4, parseMac } from './wire/address.ts'

export interface StationOptions {
  /** Its IPv4 address and the length of the subnet's prefix: `'192.0.2.1/24'`. */
  readonly address: string
  /** Its Ethernet address. Default: 02:00 and the IPv4 address. */
  readonly mac?: string | undefined
  /** The largest IP packet that the link carries, 68 to 65521. Default: 1500. */
  readonly mtu?: number | undefined
  /** Octets for the queues of all streams together, from 64 KiB on. Default: 4 MiB. */
  readonly memory?: number | undefined
  /** 32 random bits at each call. Whoever can guess them can break into connections. */
  readonly random: () => number
  /** Sends an Ethernet frame, checksums complete. It is the receiver's to keep. */
  readonly transmit: (frame: Uint8Array) => void
}

/** A UDP port of a station. */
export interface UdpPort {
  readonly port: number
  /** Sends a datagram of at most 65,507 octets. */
  send(octets: Uint8Array, to: Peer, now: number): void
  close(): void
}

export type DatagramHandler = (octets: Uint8Array, from: Peer) => void

/** Decides on a connection: its handler, or undefined to refuse it with a reset. */
export type Accept = (from: Peer) => StreamHandler | undefined

const FRAME_LEN = 68 * 1024
const MAX_DATAGRAM = 65_507
/** RFC 6335 §6: dynamic ports. */
const FIRST_DYNAMIC = 49152

const LIMITS = {
  sendBuffer: 256 * 1024,
  receiveBuffer: 256 * 1024,
  connections: 4096,
  halfOpen: 256,
}

export class Station {
  readonly #address: number
  readonly #subnet: { readonly network: number; readonly prefix: number }
  readonly #memory: Memory
  readonly #stack: Stack
  readonly #random: () => number
  readonly #transmit: (frame: Uint8Array) => void
  readonly #arrival = new Arrival()
  readonly #arrivalAt: number
  readonly #datagramAt: number
  readonly #segmenter: Segmenter
  readonly #listeners = new Map<number, Accept>()
  /** Streams whose users wait for room. */
  readonly #short = new Set<StreamUser>()
  readonly #udpPorts = new Map<number, DatagramHandler>()
  /** Frames that came and are not looked at yet, and frames that are to be sent. */
  readonly #inbox: Uint8Array[] = []
  readonly #outbox: Uint8Array[] = []
  #isTimeDue = false
  #isBusy = false
  #now = 0

  /** Throws a TypeError or a RangeError with the option's name. */
  constructor(options: StationOptions) {
    const { mtu = 1500, memory: queues = 4 * 1024 * 1024, random, transmit } = options
    const { address, prefix } = readAddress(options.address)
    checkInteger(mtu, 'mtu', 68, 65521)
    checkInteger(queues, 'memory', 64 * 1024, 2 ** 30)
    const pool = OVERHEAD + Math.ceil(queues / CHUNK) * CHUNK
    this.#arrivalAt = pool
    this.#datagramAt = pool + FRAME_LEN
    const headers = this.#datagramAt + FRAME_LEN
    this.#memory = memoryOf(new Uint8Array(headers + HEADERS_LEN))
    this.#segmenter = new Segmenter(this.#memory, headers)
    this.#address = address
    this.#subnet = { network: address & mask(prefix), prefix }
    this.#random = random
    this.#transmit = transmit
    this.#stack = new Stack({
      memory: this.#memory,
      at: 0,
      end: pool,
      link: { transmit: (departure) => this.#depart(departure) },
      mtu,
      mac: readMac(options.mac, address),
      subnet: this.#subnet,
      addresses: [address],
      limits: LIMITS,
      random,
    })
    this.#stack.upper = {
      synArrives: (request) => this.#synArrives(request),
      datagramArrives: (datagram) => this.#datagramArrives(datagram),
      echoArrives: () => void this.#stack.counters.drop.icmpUnwanted++,
    }
  }

  /** What was counted, drops by reason among it. It goes on counting. */
  get counters(): Counters {
    return this.#stack.counters
  }

  // --- the link, and time ---

  /** A frame came. It may be called from within `transmit`, also by the station that this one talks to. */
  receive(frame: Uint8Array, now: number): void {
    this.#inbox.push(frame)
    this.flush(now)
  }

  /** When `timeout` has to be called: a time like `now`, or Infinity. */
  deadline(): number {
    return this.#stack.deadline()
  }

  timeout(now: number): void {
    this.#isTimeDue = true
    this.flush(now)
  }

  /**
   * Sends what was asked for since the last call of anything with `now`. Called from within a handler or `transmit` it
   * leaves the work to the call that is under way.
   */
  flush(now: number): void {
    this.#now = now
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      do this.#turn()
      while (this.#isDue())
    } finally {
      this.#isBusy = false
    }
  }

  /** Did `transmit` ask for something? */
  #isDue(): boolean {
    const { tcp } = this.#stack
    if (this.#inbox.length > 0 || this.#outbox.length > 0 || this.#isTimeDue) return true
    return tcp.firstTouched !== undefined
  }

  /** The stack is never on the call stack when `transmit` is called: who is called may ask for anything. */
  #turn(): void {
    if (this.#isTimeDue) {
      this.#isTimeDue = false
      this.#stack.timeout(this.#now)
    }
    for (const frame of this.#inbox.splice(0)) this.#arrive(frame)
    this.#stack.flush(this.#now)
    this.#tellOfRoom()
    for (const frame of this.#outbox.splice(0)) this.#transmit(frame)
  }

  /** What one stream gave back may be what another waits for, whose peer has nothing to acknowledge. */
  #tellOfRoom(): void {
    const { pool } = this.#stack
    if (this.#short.size === 0) return
    for (const user of [...this.#short]) {
      if (pool.free <= pool.forReceiving) return
      user.poolHasRoom()
    }
  }

  #arrive(frame: Uint8Array): void {
    if (frame.length > FRAME_LEN) return void this.#stack.counters.drop.ethernetLong++
    const arrival = this.#arrival
    arrival.at = this.#arrivalAt
    arrival.end = this.#arrivalAt + frame.length
    this.#memory.bytes.set(frame, arrival.at)
    this.#stack.receive(arrival, this.#now)
  }

  #depart(departure: Departure): void {
    this.#segmenter.emit(departure, ({ slices }) => {
      const frame = new Uint8Array(slices.total)
      for (let i = 0, to = 0; i < slices.count; i++) {
        const at = slices.at[i]!
        frame.set(this.#memory.bytes.subarray(at, at + slices.len[i]!), to)
        to += slices.len[i]!
      }
      this.#outbox.push(frame)
      return frame.length
    })
  }

  // --- TCP ---

  /** Opens a connection to a station of the subnet. `open` or `close` of the handler follows. */
  connect(to: Peer, handler: StreamHandler, now: number): Stream {
    const key = this.#keyOf(to)
    const { tcp, neighbours } = this.#stack
    const port = this.#freePort((port) => {
      key[8] = (to.port << 16) | port
      return !tcp.isTaken(key)
    })
    key[8] = (to.port << 16) | port
    const user = new StreamUser(this.#memory, handler, this.#short)
    const stream = new Stream({ address: to.address, port: to.port }, port, user)
    user.stream = stream
    user.uses(tcp.connect(key, neighbours.find(key), user, now))
    this.flush(now)
    return stream
  }

  /** Answers connections to a port. Returns what ends it; connections go on. */
  listen(port: number, accept: Accept): () => void {
    checkInteger(port, 'port', 1, 65535)
    if (this.#listeners.has(port)) throw new RangeError(`port ${port} has a listener already`)
    this.#listeners.set(port, accept)
    return () => void (this.#listeners.get(port) === accept && this.#listeners.delete(port))
  }

  #synArrives(request: SynRequest): void {
    const { key } = request
    const port = key[8]! & 0xffff
    const remote = { address: formatIpv4(key[3]!), port: key[8]! >>> 16 }
    const handler = this.#listeners.get(port)?.(remote)
    if (handler === undefined) return request.refuse()
    const user = new StreamUser(this.#memory, handler, this.#short)
    user.stream = new Stream(remote, port, user)
    user.uses(request.accept(user, this.#now))
  }

  // --- UDP ---

  /** Takes a UDP port; 0 is any that is free. */
  bind(port: number, handler: DatagramHandler): UdpPort {
    checkInteger(port, 'port', 0, 65535)
    const ports = this.#udpPorts
    const own = port === 0 ? this.#freePort((free) => !ports.has(free)) : port
    if (ports.has(own)) throw new RangeError(`port ${own} is bound already`)
    ports.set(own, handler)
    return {
      port: own,
      send: (octets, to, now) => this.#send(own, octets, to, now),
      close: () => void (ports.get(own) === handler && ports.delete(own)),
    }
  }

  #send(port: number, octets: Uint8Array, to: Peer, now: number): void {
    checkInteger(octets.length, 'octets.length', 0, MAX_DATAGRAM)
    const key = this.#keyOf(to)
    key[8] = (to.port << 16) | port
    const { neighbours, transmitter } = this.#stack
    const at = this.#datagramAt
    this.#memory.bytes.set(octets, at)
    transmitter.sendUdp(key, neighbours.find(key), at, octets.length, now)
    this.flush(now)
  }

  #datagramArrives(datagram: Datagram): void {
    const { key, at, len } = datagram
    const handler = this.#udpPorts.get(key[8]! & 0xffff)
    if (handler === undefined) {
      return this.#stack.refuseDatagram(datagram, 'port-unreachable', this.#now)
    }
    const octets = this.#memory.bytes.slice(at, at + len)
    handler(octets, { address: formatIpv4(key[3]!), port: key[8]! >>> 16 })
  }

  #keyOf({ address, port }: Peer): Int32Array {
    const addr = parseIpv4(address)
    const { network, prefix } = this.#subnet
    if (addr === undefined) throw new TypeError(`not an IPv4 address: ${address}`)
    if (!isIn(addr, network, prefix) || addr === this.#address) {
      throw new RangeError(`not another station of ${formatIpv4(network)}/${prefix}: ${address}`)
    }
    checkInteger(port, 'port', 1, 65535)
    const key = new Int32Array(KEY_WORDS)
    key4(key, addr, port, this.#address, 0)
    return key
  }

  /** From a random port on, so that nobody can guess it (RFC 6056 §3.3.1). */
  #freePort(isFree: (port: number) => boolean): number {
    const count = 65536 - FIRST_DYNAMIC
    const start = this.#random() >>> 0
    for (let i = 0; i < count; i++) {
      const port = FIRST_DYNAMIC + ((start + i) % count)
      if (isFree(port)) return port
    }
    throw new RangeError('no port is free')
  }
}

function readAddress(given: unknown): { address: number; prefix: number } {
  const [, text = '', length = ''] = /^([\d.]+)\/(\d{1,2})$/.exec(`${given}`) ?? []
  const address = parseIpv4(text)
  const prefix = Number(length)
  if (address === undefined || prefix < 1 || prefix > 30) {
    throw new TypeError(`address must be such as '192.0.2.1/24', not '${given}'`)
  }
  const host = address & ~mask(prefix)
  if (host === 0 || host === ~mask(prefix)) {
    throw new RangeError(`address must be one of a station, not the subnet's own: '${given}'`)
  }
  return { address, prefix }
}

function readMac(given: string | undefined, address: number): Uint8Array {
  if (given === undefined) {
    return Uint8Array.of(2, 0, address >>> 24, address >>> 16, address >>> 8, address)
  }
  const mac = parseMac(given)
  if (mac === undefined || mac[0]! & 1) {
    throw new TypeError(`mac must be one station's MAC address, not '${given}'`)
  }
  return mac
}

function checkInteger(value: number, name: string, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  throw new RangeError(`${name} must be an integer from ${least} to ${most}, not ${value}`)
}
