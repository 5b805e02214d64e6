/**
 * The published ports of a network, by id: ids count from 1 and are never used again. It lives beside the data plane;
 * what `Forwards` promises, each host keeps in its own way.
 */

import type { Forwarder } from '../nat/forwards.ts'
import type { Nat } from '../nat/nat.ts'
import { formatIpv4, parse, parseIpv4 } from '../stack/wire/address.ts'
import type { SubnetAddresses } from './addresses.ts'
import type { Forward } from './types.ts'

export class ForwardTable {
  readonly #nat: Nat
  readonly #addresses: SubnetAddresses
  readonly #entries = new Map<number, { forward: Forward; forwarder: Forwarder }>()
  #lastId = 0

  constructor(nat: Nat, addresses: SubnetAddresses) {
    this.#nat = nat
    this.#addresses = addresses
  }

  /** Throws the system's error when the port cannot be had. */
  add(wanted: Omit<Forward, 'id'>): Forward {
    const { proto, hostAddr, hostPort, guestAddr, guestPort } = wanted
    const at = { words: new Int32Array(4), port: hostPort }
    if (!parse(hostAddr, at.words)) throw new TypeError(`not an IP address: ${hostAddr}`)
    const guest = guestAddr === '' ? this.#addresses.guest : parseIpv4(guestAddr)
    if (guest === undefined) throw new TypeError(`not an IPv4 address: ${guestAddr}`)
    const { network, netmask } = this.#addresses
    if ((guest & netmask) !== network) throw new TypeError(`not in the subnet: ${guestAddr}`)
    const forwarder = this.#nat.forward(proto, at, { addr: guest, port: guestPort })
    const id = ++this.#lastId
    const forward: Forward = {
      id,
      proto,
      hostAddr,
      hostPort: forwarder.bound.port,
      guestAddr: formatIpv4(guest),
      guestPort,
    }
    this.#entries.set(id, { forward, forwarder })
    return forward
  }

  list(): Forward[] {
    return [...this.#entries.values()].map((entry) => entry.forward)
  }

  /** False when no forward has this id. */
  remove(id: number): boolean {
    const entry = this.#entries.get(id)
    if (entry === undefined) return false
    this.#entries.delete(id)
    this.#nat.unforward(entry.forwarder)
    return true
  }
}
