/** Takes DHCP messages out of the guest's datagrams, and sends what dhcp-server.ts answers. */
import { isIpv4, KEY_WORDS, key4 } from '../stack/flow-table.ts'
import { Neighbour } from '../stack/neighbours.ts'
import type { Datagram } from '../stack/stack.ts'
import * as address from '../stack/wire/address.ts'
import * as checksum from '../stack/wire/checksum.ts'
import * as dhcp from '../stack/wire/dhcp.ts'
import * as ipv4 from '../stack/wire/ipv4.ts'
import * as udp from '../stack/wire/udp.ts'
import { Leases } from './dhcp-leases.ts'
import { answer, type Destination, MAX_LEN } from './dhcp-server.ts'
import type { Host } from './host.ts'

export class DhcpResponder {
  readonly #host: Host
  readonly #leases: Leases
  readonly #message = new dhcp.Message()
  readonly #key = new Int32Array(KEY_WORDS)
  /** Where answers are written. */
  readonly #at: number

  constructor(host: Host) {
    const { begin, end } = host.options.dhcpPool
    this.#host = host
    this.#leases = new Leases(begin, end)
    this.#at = host.arena.reserve(MAX_LEN)
  }

  /** Takes the datagram when it is for the DHCP server; false when it is for somebody else. */
  receive({ key, at, len }: Datagram): boolean {
    const { arena, options, reactor, resolvers, stack } = this.#host
    const dst = key[7]!
    if ((key[8]! & 0xffff) !== dhcp.SERVER_PORT || !isIpv4(key)) return false
    if (!address.isBroadcast(dst) && dst !== options.gateway) return false
    if (!dhcp.parse(arena.view, at, at + len, this.#message)) {
      stack.counters.drop.dhcpMalformed++
      return true
    }
    const { subnet, gateway, mtu } = options
    const names = options.dns ? { dns: options.dnsAddress, search: resolvers.search() } : undefined
    const network = { subnet, gateway, mtu, ...names }
    const reply = answer(this.#message, this.#leases, network, reactor.now)
    if (reply !== undefined) this.#send(dhcp.emit(arena.view, this.#at, reply), reply.to)
    return true
  }

  #send(end: number, { addr, port, mac }: Destination): void {
    const { arena, options, reactor, stack } = this.#host
    const { bytes, view } = arena
    const { transmitter } = stack
    const key = this.#key
    key4(key, addr, port, options.gateway, dhcp.SERVER_PORT)
    const neighbour = mac === undefined ? stack.neighbours.find(key) : known(key, mac)
    const len = end - this.#at
    const udpLen = udp.HEADER_LEN + len
    const out = transmitter.begin(key, neighbour, ipv4.UDP, udpLen)
    const text = udp.emit(view, out, dhcp.SERVER_PORT, port, udpLen, 0)
    // Not left to the link: clients read this from a packet socket, before the kernel completes it.
    const pseudo = checksum.pseudo4(options.gateway, addr, ipv4.UDP, udpLen)
    const header = checksum.sum(bytes, view, out, text, pseudo)
    const sum = checksum.finish(checksum.sum(bytes, view, this.#at, end, header))
    view.setUint16(out + udp.CHECKSUM, sum === 0 ? 0xffff : sum)
    transmitter.departure.slices.push(this.#at, len)
    transmitter.sendComplete(neighbour, text, reactor.now)
  }
}

/** For one message: who it is for may not have the address in the end. */
function known(key: Int32Array, mac: Uint8Array): Neighbour {
  const neighbour = new Neighbour(key)
  neighbour.mac.set(mac)
  neighbour.isKnown = true
  return neighbour
}
