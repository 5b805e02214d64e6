/**
 * The published ports of a network, by id: ids count from 1 and are never used again. It lives beside the data plane;
 * what `Forwards` promises, each host keeps in its own way.
 */

import type { Forwarder, ForwardPlan } from '../nat/forwards.ts'
import type { Nat } from '../nat/nat.ts'
import { format, isMapped, mapped, parse } from '../stack/wire/address.ts'
import type { SubnetAddresses } from './addresses.ts'
import type { Forward, ForwardProto } from './types.ts'

/** Where forwards may lead to. Addresses are four words. */
export interface GuestAddresses {
  readonly ipv4: SubnetAddresses
  /** The first 64 bits of guests' addresses; absent: IPv6 is not spoken. */
  readonly prefix6?: Int32Array | undefined
  /** The guest's own, when it is known. */
  guest6(): Int32Array | undefined
}

export class ForwardTable {
  readonly #nat: Nat
  readonly #guests: GuestAddresses
  readonly #entries = new Map<number, { forward: Forward; forwarder: Forwarder }>()
  #lastId = 0

  constructor(nat: Nat, guests: GuestAddresses) {
    this.#nat = nat
    this.#guests = guests
  }

  /** Throws the system's error when the port cannot be had. */
  add(wanted: Omit<Forward, 'id'>): Forward {
    const { proto, hostAddr, hostPort, guestPort } = wanted
    const version = versionOf(proto)
    const words = new Int32Array(4)
    if (!parse(hostAddr, words)) throw new TypeError(`not an IP address: ${hostAddr}`)
    checkVersion(version, words, proto)
    const guest = this.#guestOf(wanted.guestAddr, proto)
    checkVersion(version, guest, proto)
    const plan: ForwardPlan = {
      at: { words, port: hostPort },
      guest: { words: guest, port: guestPort },
      isOwnGuest: this.#isOwnGuest(guest),
      ipv6Only: version === 6,
    }
    const forwarder = this.#nat.forward(proto.startsWith('tcp') ? 'tcp' : 'udp', plan)
    const id = ++this.#lastId
    const { port } = forwarder.bound
    const forward = { id, proto, hostAddr, hostPort: port, guestAddr: format(guest), guestPort }
    this.#entries.set(id, { forward, forwarder })
    return forward
  }

  #guestOf(text: string, proto: ForwardProto): Int32Array {
    const { ipv4, prefix6 } = this.#guests
    const words = new Int32Array(4)
    if (text === '') {
      if (versionOf(proto) === 6) return this.#guest6()
      mapped(ipv4.guest, words)
      return words
    }
    if (!parse(text, words)) throw new TypeError(`not an IP address: ${text}`)
    const isThere = isMapped(words)
      ? (words[3]! & ipv4.netmask) === ipv4.network
      : prefix6 !== undefined && words[0] === prefix6[0] && words[1] === prefix6[1]
    if (!isThere) throw new TypeError(`not in the subnet: ${text}`)
    return words
  }

  #isOwnGuest(words: Int32Array): boolean {
    if (isMapped(words)) return words[3] === this.#guests.ipv4.guest
    return this.#guests.guest6()?.every((word, i) => word === words[i]) ?? false
  }

  #guest6(): Int32Array {
    const { prefix6 } = this.#guests
    const guest = prefix6 && this.#guests.guest6()
    if (guest !== undefined) return guest
    const why = prefix6 === undefined ? 'IPv6 is not enabled' : 'its MAC address is not known'
    throw new TypeError(`no IPv6 address of the guest: ${why}`)
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

/** The IP version that the protocol asks for; 0: any. */
function versionOf(proto: ForwardProto): 0 | 4 | 6 {
  if (proto.endsWith('4')) return 4
  return proto.endsWith('6') ? 6 : 0
}

function checkVersion(version: 0 | 4 | 6, words: Int32Array, proto: ForwardProto): void {
  if (version === 0 || isMapped(words) === (version === 4)) return
  throw new TypeError(`not an address for ${proto}: ${format(words)}`)
}
