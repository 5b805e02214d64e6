/**
 * The data plane: a TAP, the stack and the NAT in one loop. It does not care on which thread it
 * runs; whoever owns it calls `turn` again and again.
 */
import { readFileSync } from 'node:fs'
import type { Egress } from '../egress/network-egress.ts'
import { Nat } from '../nat/nat.ts'
import type { OutboundAddresses } from '../nat/outbound.ts'
import { type Handler, Reactor } from '../nat/reactor.ts'
import type { Policy } from '../policy/policy.ts'
import { Arrival } from '../stack/link.ts'
import { OVERHEAD, Stack } from '../stack/stack.ts'
import { mapped } from '../stack/wire/address.ts'
import { Arena } from '../sys/arena.ts'
import { EBADFD, ECONNRESET, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLRDHUP } from '../sys/constants.ts'
import { must, systemError } from '../sys/errors.ts'
import { reserveFrom } from '../sys/io.ts'
import { randomWord } from '../sys/random.ts'
import { ReadRing } from '../sys/read-ring.ts'
import type { AttachedTap } from '../tap/attach.ts'
import { macAddressOf } from '../tap/configure.ts'
import { Tap } from '../tap/tap.ts'
import { ipv6Subnet, type SubnetAddresses, slaacAddress } from './addresses.ts'
import { Captures } from './captures.ts'
import { EndpointPlane } from './endpoint-plane.ts'
import { SlipwayError } from './errors.ts'
import { ForwardTable } from './forward-table.ts'
import { type Limits, limitsOf, MIN_MTU, SPARE_DESCRIPTORS } from './limits.ts'
import { statsOf } from './stats.ts'
import type { Filtering, Interest, KeepAliveOption, Observer, Stats } from './types.ts'
import { Warnings } from './warnings.ts'

export interface PlaneOptions {
  readonly mtu: number
  readonly subnet: { readonly network: number; readonly prefix: number }
  readonly addresses: SubnetAddresses
  /** Speak IPv6 as well. */
  readonly ipv6: boolean
  readonly hostLoopback: boolean
  readonly outbound: OutboundAddresses
  readonly dns: boolean
  readonly keepAlive?: KeepAliveOption
  readonly filtering?: Filtering
  readonly limits?: Partial<Limits>
  /** Of sys/arena.ts. Endpoints copy much out of it and into it. */
  readonly isMemoryCounted: boolean
}

/** Memory for the slots of the link and of the NAT: more than they reserve for themselves below. */
const SLOTS = 32 * 1024 * 1024
/** Fairness, and one ACK a batch: frames read from the TAP before what they made due is sent. */
const MAX_FRAMES = 64
/** Ours: a turn with more, however small they are, is not one of a request or an answer. */
const FEW_FRAMES = 4

export class DataPlane implements Handler {
  token = -1
  isPending = false
  readonly reactor: Reactor
  readonly stack: Stack
  readonly nat: Nat
  readonly forwards: ForwardTable
  readonly tapFd: number
  /** Once there are rings. */
  endpoints: EndpointPlane | undefined
  readonly #arena: Arena
  readonly #gateways: { gateway: Int32Array; gateway6: Int32Array | undefined }
  readonly #tap: Tap
  readonly captures: Captures
  /** Where the guest may go; absent: anywhere. */
  egress: Egress | undefined
  readonly #warnings = new Warnings()
  readonly #stats = (): Stats => this.stats()
  readonly #arrival = new Arrival()
  readonly #onGone: (error: Error) => void
  readonly #isSocket: boolean
  /**
   * How many frames are expected at once. The TAP is level-triggered: a batch may end without the
   * read that says EAGAIN, which a request and its answer would pay for each time.
   */
  #expected = 1
  /** Of the TAP, at the end of the last turn. */
  #frames = 0
  #octets = 0

  /** `onGone` is called when the TAP will never give a frame again. */
  constructor(attached: AttachedTap, options: PlaneOptions, onGone: (error: Error) => void) {
    const { subnet, addresses } = options
    const mtu = Math.max(options.mtu, MIN_MTU)
    const ipv6 = options.ipv6 ? ipv6Subnet(options.dns) : undefined
    const descriptors = descriptorLimit()
    const limits = limitsOf(options.limits ?? {}, descriptors)
    reserveFrom(descriptors - SPARE_DESCRIPTORS)
    const arena = new Arena(SLOTS + OVERHEAD + limits.memory, options.isMemoryCounted)
    this.#arena = arena
    const gateway = new Int32Array(4)
    mapped(addresses.gateway, gateway)
    this.#gateways = { gateway, gateway6: ipv6?.gateway }
    this.reactor = new Reactor()
    this.#onGone = onGone
    this.tapFd = attached.fd
    this.#isSocket = attached.isSocket === true
    this.#tap = new Tap(attached, arena, mtu)
    this.captures = new Captures(this.#tap, arena, {
      name: attached.name,
      description: "a container's network, seen from slipway",
      address: addresses.gateway,
      netmask: addresses.netmask,
    })
    this.captures.onBroken = (message) =>
      this.#warnings.listener?.({ code: 'WARN_CAPTURE', count: 1, message })
    const stackLen = OVERHEAD + limits.memory
    const stackAt = arena.reserve(stackLen)
    this.stack = new Stack({
      memory: arena,
      at: stackAt,
      end: stackAt + stackLen,
      link: this.captures,
      mtu,
      gsoIpv4MaxSize: this.#tap.gsoIpv4MaxSize,
      mac: gatewayMac(attached),
      subnet,
      addresses: [addresses.gateway, addresses.dns],
      ipv6,
      limits: {
        sendBuffer: limits.buffer,
        receiveBuffer: limits.buffer,
        connections: limits.connections,
        halfOpen: limits.halfOpen,
      },
      fragments: limits.fragments,
      random: randomWord,
    })
    this.nat = new Nat(
      arena,
      this.reactor,
      {
        subnet,
        gateway: addresses.gateway,
        dnsAddress: addresses.dns,
        ipv6,
        hostLoopback: options.hostLoopback,
        outbound: options.outbound,
        dns: options.dns,
        guestSockets: attached.streams?.length ? attached.streams : undefined,
        dhcpPool: { begin: addresses.dhcpBegin, end: addresses.dhcpEnd },
        mtu,
        keepAlive: options.keepAlive ?? 'system',
        filtering: options.filtering ?? 'endpoint-independent',
        limits: { datagramFlows: limits.udpFlows, echoFlows: limits.pings },
      },
      this.stack,
    )
    this.stack.upper = this.nat
    this.forwards = new ForwardTable(this.nat, {
      ipv4: addresses,
      prefix6: ipv6?.prefix,
      // Asked anew: who configures the TAP may have given it another MAC.
      guest6: () => {
        // Behind a switch there may be anybody.
        if (ipv6 === undefined || this.#isSocket) return undefined
        return slaacAddress(ipv6.prefix, macAddressOf(attached.fd, attached.name))
      },
    })
    const events = this.#isSocket ? EPOLLIN | EPOLLRDHUP : EPOLLIN
    must(this.reactor.add(attached.fd, events, this), 'epoll_ctl', 'cannot wait for TAP')
    this.#tap.ring = ReadRing.open()
  }

  /** Waits for events, until `limit` at the latest, and does what they ask for. */
  turn(limit: number): void {
    const { reactor, stack, nat, endpoints } = this
    const deadline = Math.min(stack.deadline(), nat.deadline(), endpoints?.deadline() ?? Infinity)
    reactor.turn(Math.min(deadline, limit))
    const { now } = reactor
    if (stack.deadline() <= now) stack.timeout(now)
    if (nat.deadline() <= now) nat.timeout(now)
    endpoints?.timeout(now)
    stack.flush(now)
    endpoints?.flush()
    this.captures.flush()
    this.#warnings.check(now, this.#stats)
    this.#weigh()
  }

  /** What the TAP has carried in this turn. */
  #weigh(): void {
    const { received, receivedOctets, sent, sentOctets } = this.#tap.counters
    const frames = received + sent
    const octets = receivedOctets + sentOctets
    this.reactor.carried(frames - this.#frames > FEW_FRAMES ? Infinity : octets - this.#octets)
    this.#frames = frames
    this.#octets = octets
  }

  /** The TAP has frames. */
  ready(events: number): void {
    const { stack, reactor } = this
    const arrival = this.#arrival
    let count = 0
    let n = 0
    for (; count < this.#expected; count++) {
      n = this.#tap.receive(arrival, this.#expected - count)
      if (n <= 0) break
      this.captures.received(arrival)
      arrival.more = count + 1 < this.#expected
      stack.receive(arrival, reactor.now)
      if (this.#tap.isFull) this.#letGo()
    }
    this.#letGo()
    stack.flush(reactor.now)
    this.#expected = count < this.#expected ? Math.max(1, count) : Math.min(MAX_FRAMES, 2 * count)
    if (n < 0) this.#gone(-n)
    else if (n === 0 && events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) this.#gone(EBADFD)
  }

  /** Frames are needed no longer. */
  #letGo(): void {
    this.stack.gather(this.reactor.now)
    this.nat.flush()
    this.#tap.reuse()
  }

  /** From now on the program may have endpoints; `wake` makes its thread look at the rings. */
  useRings(rings: SharedArrayBuffer, wake: () => void): void {
    const { reactor, stack, nat } = this
    const parts = { arena: this.#arena, reactor, stack, nat, ...this.#gateways }
    this.endpoints = new EndpointPlane(parts, rings, wake)
  }

  /** What was counted until now. */
  stats(): Stats {
    return statsOf(this.stack, this.nat, this.#tap.counters, this.egress)
  }

  /** Throws when there was no policy at first. */
  setPolicy(policy: Policy): void {
    if (this.egress !== undefined) return this.egress.setPolicy(policy)
    const message = 'the network was made without an egress policy'
    throw new SlipwayError('ERR_NO_EGRESS', message)
  }

  /** Calls the observer for what it is interested in, and nobody else any more. */
  observe(observer: Observer, { flows, warnings }: Interest): void {
    this.nat.journal.listener = flows ? observer : undefined
    this.#warnings.listener = warnings ? (warning) => observer.warned(warning) : undefined
  }

  #gone(errno: number): void {
    const gone = this.#isSocket ? 'the peer of the BESS socket has gone' : 'the TAP was deleted'
    // Of a peer that has gone without reading all, the socket says ECONNRESET.
    const isGone = errno === EBADFD || (this.#isSocket && errno === ECONNRESET)
    const what = isGone ? gone : 'cannot read from TAP'
    this.reactor.remove(this)
    this.#onGone(systemError(errno, 'read', what))
  }

  close(): void {
    this.nat.destroy()
    this.endpoints?.close()
    this.captures.close()
    this.reactor.remove(this)
    this.#tap.close()
    this.reactor.close()
  }
}

/** How many descriptors this process may have (getrlimit(2): RLIMIT_NOFILE, the soft limit). */
export function descriptorLimit(): number {
  const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
  return line ? Number(line[1]) : 1024
}

/**
 * Ours is locally administered, and another for each network: they may meet on a bridge. It follows from the TAP's own, so
 * that who comes after us on a TAP that stays is found by what the guest remembers (ARP).
 */
function gatewayMac({ fd, name, isSocket }: AttachedTap): Uint8Array {
  // Behind a socket nobody has a MAC yet.
  const mac = isSocket ? randomMac() : macAddressOf(fd, name).map((octet) => ~octet)
  mac[0] = (mac[0]! & 0xfc) | 2
  return mac
}

function randomMac(): Uint8Array {
  return new Uint8Array(Int32Array.of(randomWord(), randomWord()).buffer).subarray(0, 6)
}
