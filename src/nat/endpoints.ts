/**
 * Endpoints: ports that the program itself has on the container's network, without a socket of the host.
 *
 * Theory of Operation
 *
 *  Addresses. With the gateway and the name server an endpoint shares the address: it has one port there, the rest is the
 *  NAT's. Any other address is the program's as long as there is an endpoint at it: it answers ARP and ping, and
 *  all other ports of it are refused. So nothing that is for such an address ever leaves for the host's network.
 *
 *  Precedence. An endpoint comes before the NAT, whatever that would do with the port.
 */
import { isIpv4 } from '../stack/flow-table.ts'
import type { Datagram, Stack } from '../stack/stack.ts'
import type { SynRequest } from '../stack/tcp/syn-request.ts'
import { format, isMapped } from '../stack/wire/address.ts'
import * as dhcp from '../stack/wire/dhcp.ts'
import { EADDRINUSE } from '../sys/constants.ts'
import { systemError } from '../sys/errors.ts'
import type { NatOptions } from './host.ts'
import { DNS_PORT } from './resolvers.ts'

/** Takes what comes to a port, borrowed. */
export interface TcpEndpoint {
  synArrives(request: SynRequest): void
}

export interface UdpEndpoint {
  datagramArrives(datagram: Datagram): void
}

/** An address, and what is at its ports. */
class Place {
  readonly words: Int32Array
  /** Ports without an endpoint are the NAT's. */
  readonly isShared: boolean
  readonly tcp = new Map<number, TcpEndpoint>()
  readonly udp = new Map<number, UdpEndpoint>()

  constructor(words: Int32Array, isShared: boolean) {
    this.words = words
    this.isShared = isShared
  }

  get isEmpty(): boolean {
    return this.tcp.size === 0 && this.udp.size === 0
  }
}

/** RFC 6335 §6: dynamic ports. */
const FIRST_DYNAMIC = 49152

export class Endpoints {
  /** IPv4 by the address, IPv6 by its text. */
  readonly #places = new Map<number | string, Place>()
  readonly #options: NatOptions
  readonly #stack: Stack

  constructor(options: NatOptions, stack: Stack) {
    this.#options = options
    this.#stack = stack
  }

  /** Takes a port, 0 being any that is free; returns it. Throws EADDRINUSE. `words` is kept. */
  listen(words: Int32Array, port: number, endpoint: TcpEndpoint): number {
    return this.#add('tcp', words, port, endpoint)
  }

  /** The same of UDP. */
  bind(words: Int32Array, port: number, endpoint: UdpEndpoint): number {
    return this.#add('udp', words, port, endpoint)
  }

  #add<Proto extends 'tcp' | 'udp'>(
    proto: Proto,
    words: Int32Array,
    port: number,
    endpoint: Place[Proto] extends Map<number, infer Endpoint> ? Endpoint : never,
  ): number {
    const name = nameOf(words, 0)
    const known = this.#places.get(name)
    const place = known ?? new Place(words, this.#isShared(words))
    const ports = place[proto] as Map<number, typeof endpoint>
    const isTaken = (port: number): boolean =>
      ports.has(port) || this.#isReserved(proto, words, port)
    const own = port === 0 ? freePort(isTaken) : port
    const isOfGuest = known === undefined && this.#stack.neighbours.isKnown(words)
    if (own === undefined || isTaken(own) || isOfGuest) {
      const what = `cannot listen on ${format(words)} port ${port}`
      throw systemError(EADDRINUSE, proto === 'tcp' ? 'listen' : 'bind', what)
    }
    ports.set(own, endpoint)
    if (known === undefined) {
      this.#places.set(name, place)
      if (!place.isShared) this.#stack.claim(words)
    }
    return own
  }

  /** The port is free again, and with the last one the address. */
  remove(proto: 'tcp' | 'udp', words: Int32Array, port: number): void {
    const name = nameOf(words, 0)
    const place = this.#places.get(name)
    if (place === undefined || !place[proto].delete(port) || !place.isEmpty) return
    this.#places.delete(name)
    if (!place.isShared) this.#stack.unclaim(place.words)
  }

  #isShared(words: Int32Array): boolean {
    const { gateway, dnsAddress, ipv6 } = this.#options
    if (isMapped(words)) return words[3] === gateway || words[3] === dnsAddress
    return nameOf(words, 0) === nameOf(ipv6!.gateway, 0) || this.#isDns(words)
  }

  #isDns(words: Int32Array): boolean {
    const { dnsAddress, ipv6 } = this.#options
    if (isMapped(words)) return words[3] === dnsAddress
    return nameOf(words, 0) === nameOf(ipv6!.dns, 0)
  }

  /** Ports at which the NAT itself answers. */
  #isReserved(proto: 'tcp' | 'udp', words: Int32Array, port: number): boolean {
    if (this.#options.dns && port === DNS_PORT && this.#isDns(words)) return true
    return proto === 'udp' && port === dhcp.SERVER_PORT && words[3] === this.#options.gateway
  }

  /** Takes the SYN when it is for an endpoint's address; false when it is for the NAT. */
  synArrives(request: SynRequest): 'endpoint' | 'refused' | 'nat' {
    const place = this.#find(request.key)
    const endpoint = place?.tcp.get(request.key[8]! & 0xffff)
    if (endpoint !== undefined) {
      endpoint.synArrives(request)
      return 'endpoint'
    }
    if (place === undefined || place.isShared) return 'nat'
    request.refuse()
    return 'refused'
  }

  /** Takes the datagram when it is for an endpoint's address; false when it is for the NAT. */
  datagramArrives(datagram: Datagram, now: number): boolean {
    const place = this.#find(datagram.key)
    if (place === undefined) return false
    const endpoint = place.udp.get(datagram.key[8]! & 0xffff)
    if (endpoint !== undefined) endpoint.datagramArrives(datagram)
    else if (place.isShared) return false
    else this.#stack.refuseDatagram(datagram, 'port-unreachable', now)
    return true
  }

  /** The host's side of `key`. Nothing is looked up as long as there is no endpoint. */
  #find(key: Int32Array): Place | undefined {
    if (this.#places.size === 0) return undefined
    return this.#places.get(isIpv4(key) ? key[7]! : nameOf(key, 4))
  }
}

/** The address at `words[index]`. */
function nameOf(words: Int32Array, index: number): number | string {
  if (index === 0 && isMapped(words)) return words[3]!
  return `${words[index]} ${words[index + 1]} ${words[index + 2]} ${words[index + 3]}`
}

function freePort(isTaken: (port: number) => boolean): number | undefined {
  for (let port = FIRST_DYNAMIC; port < 65536; port++) if (!isTaken(port)) return port
  return undefined
}
