/** Takes DHCPv6 messages out of the guest's datagrams, and sends what dhcpv6-server.ts answers. */
import { KEY_WORDS } from '../stack/flow-table.ts'
import type { Datagram } from '../stack/stack.ts'
import * as dhcpv6 from '../stack/wire/dhcpv6.ts'
import * as ipv6 from '../stack/wire/ipv6.ts'
import { answer, MAX_LEN } from './dhcpv6-server.ts'
import type { Host } from './host.ts'

export class Dhcpv6Responder {
  readonly #host: Host
  readonly #message = new dhcpv6.Message()
  readonly #key = new Int32Array(KEY_WORDS)
  readonly #dns = new Uint8Array(16)
  /** Where answers are written. */
  readonly #at: number

  constructor(host: Host) {
    this.#host = host
    this.#at = host.arena.reserve(MAX_LEN)
    const { ipv6: subnet } = host.options
    if (subnet) ipv6.emitAddress(new DataView(this.#dns.buffer), 0, subnet.dns, 0)
  }

  /** Takes the datagram when it is for DHCPv6 servers; false when it is for somebody else. */
  receive({ key, at, len, neighbour }: Datagram): boolean {
    if ((key[8]! & 0xffff) !== dhcpv6.SERVER_PORT) return false
    if (!ipv6.isAddress(key, 4, dhcpv6.ALL_SERVERS)) return false
    const { arena, options, reactor, resolvers, stack } = this.#host
    const { view } = arena
    const message = this.#message
    if (!dhcpv6.parse(view, at, at + len, message)) {
      stack.counters.drop.dhcpMalformed++
      return true
    }
    const { dns, ipv6: subnet } = options
    if (!dns || subnet === undefined) return true // there is nothing to tell
    const serverId = dhcpv6.duidOf(stack.mac)
    const reply = answer(message, { serverId, dns: this.#dns, search: resolvers.search() })
    if (reply === undefined) return true
    const end = dhcpv6.emit(view, this.#at, dhcpv6.REPLY, message.transactionId, reply)
    const to = this.#key
    to.set(key.subarray(0, 4))
    to.set(subnet.linkLocal, 4)
    to[8] = (dhcpv6.CLIENT_PORT << 16) | dhcpv6.SERVER_PORT
    stack.transmitter.sendUdp(to, neighbour, this.#at, end - this.#at, reactor.now)
    return true
  }
}
