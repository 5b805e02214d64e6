/**
 * The stack: frames of the guest in, frames to the guest out, and what concerns the host in between
 * handed to an {@link Upper}. A function of bytes and time: it asks for neither.
 *
 *     receive(frame, now) …  flush(now)  →  link.transmit(frame)
 *     timeout(now) when `deadline()` is here
 *
 * A frame goes up through Ethernet here, then ipv4-layer.ts (with ARP and ICMP)
 * or ipv6-layer.ts (with ICMPv6), and transport.ts.
 * The host's side of every address is "here": the stack answers for every host there is.
 */
import { type Counters, createCounters } from './counters.ts'
import { FlowErrors } from './flow-errors.ts'
import { IcmpErrors, type Reason } from './icmp-errors.ts'
import { Ipv4Layer } from './ipv4-layer.ts'
import { Ipv6Layer, type Ipv6Subnet } from './ipv6-layer.ts'
import type { Arrival, Link, Memory } from './link.ts'
import { HELD_LEN, type Neighbour, Neighbours } from './neighbours.ts'
import { Pool } from './pool.ts'
import type { CongestionName } from './tcp/congestion.ts'
import type { SynRequest } from './tcp/syn-request.ts'
import { Tcp, type TcpLimits } from './tcp/tcp.ts'
import { TRANSMITTER_LEN, Transmitter } from './transmitter.ts'
import { type Datagram, Transport } from './transport.ts'
import { isMapped } from './wire/address.ts'
import * as ethernet from './wire/ethernet.ts'
import * as ipv4 from './wire/ipv4.ts'

export type { Datagram } from './transport.ts'

/** What sits above the stack: the NAT, or a test. Everything it is given is borrowed. */
export interface Upper {
  /** The guest opens a connection; to be answered by `accept`, `refuse` or `fail`, now or later. */
  synArrives(request: SynRequest): void
  /** A datagram of the guest. */
  datagramArrives(datagram: Datagram): void
  /** An echo request to a host outside: its text is the ICMP message. */
  echoArrives(echo: Datagram): void
}

/** Nobody is above the stack (yet): connections are refused, datagrams go nowhere. */
const NOBODY: Upper = {
  synArrives: (request) => request.refuse(),
  datagramArrives: () => {},
  echoArrives: () => {},
}

export interface StackOptions {
  readonly memory: Memory
  /** The part of the memory that is the stack's. */
  readonly at: number
  readonly end: number
  readonly link: Link
  readonly mtu: number
  /**
   * The longest IPv4 packet of TCP's that the link cuts, in octets (ip-link(8)). One beyond 65,535 has a total length
   * of 0, as Linux' BIG TCP has it. Default: 65,535.
   */
  readonly gsoIpv4MaxSize?: number | undefined
  /** Our Ethernet address. */
  readonly mac: Uint8Array
  readonly subnet: { readonly network: number; readonly prefix: number }
  /** Our IPv4 addresses: they answer ARP and echo requests. The first is the gateway. `claim` adds others. */
  readonly addresses: readonly number[]
  /** Our side of IPv6; without it, IPv6 is not spoken. */
  readonly ipv6?: Ipv6Subnet | undefined
  readonly limits: TcpLimits
  /** How many datagrams may wait for fragments, of each IP version; 64 KiB each. */
  readonly fragments?: number | undefined
  /** TCP's congestion control; CUBIC without it. */
  readonly congestion?: CongestionName | undefined
  /** 32 random bits at each call. */
  readonly random: () => number
}

/** A datagram that was put together, in a frame. */
const WHOLE_LEN = 68 * 1024
/** What the stack needs of its memory besides the pool. */
export const OVERHEAD: number = TRANSMITTER_LEN + HELD_LEN + WHOLE_LEN

const UNSPECIFIED = new Int32Array(4)

export class Stack {
  readonly counters: Counters = createCounters()
  /** Ours. */
  readonly mac: Uint8Array
  readonly tcp: Tcp
  readonly transmitter: Transmitter
  readonly errors: IcmpErrors
  readonly flowErrors: FlowErrors
  readonly neighbours: Neighbours
  readonly pool: Pool
  upper: Upper = NOBODY
  readonly #options: StackOptions
  readonly #memory: Memory
  readonly #ipv4: Ipv4Layer
  readonly #ipv6: Ipv6Layer | undefined

  constructor(options: StackOptions) {
    const { memory, link, mtu, mac, addresses, subnet, limits, random } = options
    const { counters } = this
    const { fragments } = options
    const gateway = addresses[0]!
    const headers = options.at
    const held = headers + TRANSMITTER_LEN
    const whole = held + HELD_LEN
    this.mac = mac
    this.#options = options
    this.#memory = memory
    this.pool = new Pool(whole + WHOLE_LEN, options.end)
    this.neighbours = new Neighbours(memory, held, random())
    const { neighbours, pool } = this
    this.transmitter = new Transmitter({
      memory,
      link,
      counters,
      neighbours,
      at: headers,
      mac,
      mtu,
      arpSource: gateway,
      solicitSource: options.ipv6?.linkLocal ?? UNSPECIFIED,
      random,
    })
    const { transmitter } = this
    const gateway6 = options.ipv6?.gateway ?? UNSPECIFIED
    this.errors = new IcmpErrors(memory, transmitter, gateway, gateway6)
    this.flowErrors = new FlowErrors(memory, transmitter, gateway, gateway6)
    const { errors, flowErrors } = this
    const onSyn = (request: SynRequest): void => this.upper.synArrives(request)
    this.tcp = new Tcp({
      ...{ memory, pool, transmitter, counters, mtu, limits, random, onSyn },
      errors: flowErrors,
      congestion: options.congestion,
      gsoIpv4MaxSize: options.gsoIpv4MaxSize ?? ipv4.MAX_LEN,
    })
    const transport = new Transport({
      memory,
      counters,
      tcp: this.tcp,
      senderOf: ({ key, frame }) => this.#learn(key, frame + ethernet.SRC),
      onDatagram: (datagram) => this.upper.datagramArrives(datagram),
      onEcho: (echo) => this.upper.echoArrives(echo),
    })
    const learn = (key: Int32Array, macAt: number): Neighbour => this.#learn(key, macAt)
    this.#ipv4 = new Ipv4Layer({
      memory,
      counters,
      transmitter,
      transport,
      errors,
      subnet,
      addresses,
      whole,
      fragments,
      learn,
    })
    if (options.ipv6 !== undefined) {
      const common = {
        memory,
        counters,
        transmitter,
        transport,
        errors,
        mtu,
        mac,
        random,
        whole,
        fragments,
        learn,
      }
      this.#ipv6 = new Ipv6Layer({ ...common, subnet: options.ipv6 })
    }
  }

  /** A frame arrived. What it makes due is sent by the `flush` that ends the batch. */
  receive(frame: Arrival, now: number): void {
    const { at, end } = frame
    const v = this.#memory.view
    const { counters } = this
    counters.framesFromGuest++
    counters.octetsFromGuest += end - at
    if (!ethernet.check(at, end)) return void counters.drop.ethernetShort++
    if (!ethernet.isTo(v, at, this.#options.mac) && !ethernet.isGroup(v, at)) {
      return void counters.drop.ethernetDst++
    }
    if (ethernet.isGroup(v, at + ethernet.SRC)) return void counters.drop.ethernetSrc++
    const type = ethernet.type(v, at)
    const network = at + ethernet.HEADER_LEN
    if (type === ethernet.IPV4) this.#ipv4.receive(network, frame, now)
    else if (type === ethernet.IPV6 && this.#ipv6 !== undefined) {
      this.#ipv6.receive(network, frame, now)
    } else if (type === ethernet.ARP) this.#ipv4.receiveArp(network, end)
    else counters.drop.ethernetType++
  }

  /** Nothing follows for now: what waited for more goes up. */
  gather(now: number): void {
    this.tcp.gather(now)
  }

  /** When `timeout` is to be called, in ms; Infinity: not until something arrives. */
  deadline(): number {
    const layers = Math.min(this.#ipv4.deadline(), this.#ipv6?.deadline() ?? Infinity)
    return Math.min(this.tcp.deadlines.next(), layers)
  }

  timeout(now: number): void {
    this.#ipv4.timeout(now)
    this.#ipv6?.timeout(now)
    this.tcp.timeout(now)
    this.flush(now)
  }

  /** Sends what has become due since the last flush. */
  flush(now: number): void {
    this.tcp.gather(now)
    this.tcp.flush(now)
  }

  /** One more address is ours, four words: it answers ARP, neighbor solicitations and echo requests, and is no guest's. */
  claim(words: Int32Array): void {
    if (isMapped(words)) this.#ipv4.claim(words[3]!)
    else this.#ipv6?.claim(words)
  }

  /** It is ours no more. */
  unclaim(words: Int32Array): void {
    if (isMapped(words)) this.#ipv4.unclaim(words[3]!)
    else this.#ipv6?.unclaim(words)
  }

  /** A datagram of the guest finds nobody: an ICMP error that quotes it. */
  refuseDatagram(d: Datagram, reason: Reason, now: number): void {
    this.errors.about(d.ipAt, d.ipEnd, d.neighbour, reason, now)
  }

  #learn(key: Int32Array, macAt: number): Neighbour {
    const neighbour = this.neighbours.learn(key, macAt)
    if (neighbour.held.length > 0) this.transmitter.release(neighbour)
    return neighbour
  }
}
