/**
 * Neighbor Discovery (RFC 4861): who asks for our addresses is told, who tells its own is learnt, and
 * guests hear a router: its prefix, on which they make addresses (RFC 4862), the link's MTU, the name
 * server (RFC 8106), and that DHCPv6 has more.
 */
import type { Ipv6Options } from './ipv6-layer.ts'
import { Neighbour } from './neighbours.ts'
import type { Packet } from './packet.ts'
import * as ethernet from './wire/ethernet.ts'
import * as icmpv6 from './wire/icmpv6.ts'
import * as ipv6 from './wire/ipv6.ts'

/** RFC 4861 §6.2.4: the first three come soon after each other. */
const INITIAL_ADVERTISEMENTS = 3
const INITIAL_INTERVAL = 16_000
/** RFC 4861 §6.2.1: MinRtrAdvInterval and MaxRtrAdvInterval, their defaults. */
const MIN_INTERVAL = 198_000
const MAX_INTERVAL = 600_000
/** As slirp4netns has them, in s. */
const ROUTER_LIFETIME = 1800
const PREFIX_VALID = 86_400
const PREFIX_PREFERRED = 14_400
const HOP_LIMIT = 64
/** RFC 4861 §7.1. */
const NDP_HOPS = 255

export class NeighborDiscovery {
  /** When the next unsolicited advertisement is due, ms. */
  deadline = 0
  readonly #options: Ipv6Options
  readonly #allNodes: Neighbour
  readonly #key = new Int32Array(9)
  readonly #isOurs: (key: Int32Array) => boolean
  #advertisements = 0

  /** `isOurs`: is the host's side of the key an address of ours? */
  constructor(options: Ipv6Options, isOurs: (key: Int32Array) => boolean) {
    this.#options = options
    this.#isOurs = isOurs
    this.#allNodes = new Neighbour(Int32Array.of(0xff020000 | 0, 0, 0, 1))
    this.#allNodes.mac.set([0x33, 0x33, 0, 0, 0, 1]) // RFC 2464 §7
    this.#allNodes.isKnown = true
  }

  /** Takes a message whose checksum and hop limit are right; false when it is malformed. */
  receive(packet: Packet, now: number): boolean {
    const v = this.#options.memory.view
    switch (icmpv6.type(v, packet.transport)) {
      case icmpv6.NEIGHBOR_SOLICITATION:
        return this.#solicited(packet, now)
      case icmpv6.NEIGHBOR_ADVERTISEMENT:
        return this.#advertised(packet)
      case icmpv6.ROUTER_SOLICITATION:
        this.#advertiseRouter(now)
        return true
      default: // another router on this link: none of ours
        return true
    }
  }

  /** RFC 4861 §7.2.3: our address is asked for. */
  #solicited({ key, transport, end, frame }: Packet, now: number): boolean {
    const { memory, learn, mac, transmitter } = this.#options
    const v = memory.view
    if (end - transport < icmpv6.TARGET_OPTIONS) return false
    const target = this.#key
    ipv6.readAddress(v, transport + icmpv6.TARGET, target, 4)
    if (icmpv6.findOption(v, transport + icmpv6.TARGET_OPTIONS, end, 0) === -2) return false
    const isOurs = this.#isOurs(target)
    // Duplicate address detection (RFC 4862 §5.4) comes from nowhere: all hear that it is taken.
    const isProbe = (key[0]! | key[1]! | key[2]! | key[3]!) === 0
    const asker = isProbe ? this.#allNodes : learn(key, frame + ethernet.SRC)
    if (!isOurs) return true
    target.set(asker.key.subarray(0, 4))
    const len = icmpv6.TARGET_OPTIONS + 8
    const out = transmitter.begin6(target, 4, target, 0, asker, ipv6.ICMPV6, len, NDP_HOPS)
    const solicited = isProbe ? 0 : icmpv6.SOLICITED
    const flags = icmpv6.IS_ROUTER | icmpv6.OVERRIDE | solicited
    const at = icmpv6.emit(v, out, icmpv6.NEIGHBOR_ADVERTISEMENT, 0, flags)
    const options = ipv6.emitAddress(v, at, target, 4)
    const done = icmpv6.emitLinkLayer(v, options, icmpv6.TARGET_LINK_LAYER, mac)
    transmitter.sendIcmp6(asker, out, done, now)
    return true
  }

  /** RFC 4861 §7.2.5: a guest says where it is. */
  #advertised({ key, transport, end }: Packet): boolean {
    const v = this.#options.memory.view
    if (end - transport < icmpv6.TARGET_OPTIONS) return false
    const options = transport + icmpv6.TARGET_OPTIONS
    const option = icmpv6.findOption(v, options, end, icmpv6.TARGET_LINK_LAYER)
    if (option === -2) return false
    ipv6.readAddress(v, transport + icmpv6.TARGET, key, 0)
    if (option >= 0) this.#options.learn(key, option + 2)
    return true
  }

  timeout(now: number): void {
    if (now < this.deadline) return
    this.#advertiseRouter(now)
    this.#advertisements++
    const { random } = this.#options
    const chance = (random() >>> 0) / 2 ** 32
    const interval = MIN_INTERVAL + chance * (MAX_INTERVAL - MIN_INTERVAL)
    const isEarly = this.#advertisements < INITIAL_ADVERTISEMENTS
    this.deadline = now + (isEarly ? INITIAL_INTERVAL : interval)
  }

  /** RFC 4861 §6.2.3. */
  #advertiseRouter(now: number): void {
    const { memory, subnet, mac, mtu, transmitter } = this.#options
    const v = memory.view
    const nodes = this.#allNodes
    const key = nodes.key
    const len = 16 + 8 + 8 + 32 + (subnet.advertiseDns ? 24 : 0)
    const out = transmitter.begin6(subnet.linkLocal, 0, key, 0, nodes, ipv6.ICMPV6, len, NDP_HOPS)
    const other = subnet.advertiseDns ? icmpv6.OTHER_CONFIGURATION : 0
    const flags = (HOP_LIMIT << 24) | other | ROUTER_LIFETIME
    let at = icmpv6.emit(v, out, icmpv6.ROUTER_ADVERTISEMENT, 0, flags)
    v.setUint32(at, 0) // reachable time and retransmit timer: not specified
    v.setUint32(at + 4, 0)
    at = icmpv6.emitLinkLayer(v, at + 8, icmpv6.SOURCE_LINK_LAYER, mac)
    at = icmpv6.emitMtu(v, at, mtu)
    at = icmpv6.emitPrefix(v, at, 64, PREFIX_VALID, PREFIX_PREFERRED)
    at = ipv6.emitAddress(v, at, subnet.prefix, 0)
    if (subnet.advertiseDns) {
      at = icmpv6.emitRdnss(v, at, (MAX_INTERVAL / 1000) * 3)
      at = ipv6.emitAddress(v, at, subnet.dns, 0)
    }
    transmitter.sendIcmp6(nodes, out, at, now)
  }
}
