/**
 * The published ports of a network, by id: ids count from 1 and are never used again. It lives beside the data plane;
 * what `Forwards` promises, each host keeps in its own way.
 */

import type { Forwarder, ForwardPlan } from '../nat/forwards.ts'
import type { Nat } from '../nat/nat.ts'
import { format, isMapped, mapped, parse } from '../stack/wire/address.ts'
import type { SubnetAddresses } from './addresses.ts'
import type { Forward, ForwardProto, ForwardRequest } from './types.ts'

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
  readonly #entries = new Map<number, { forward: Forward; forwarders: Forwarder[] }>()
  #lastId = 0

  constructor(nat: Nat, guests: GuestAddresses) {
    this.#nat = nat
    this.#guests = guests
  }

  /** Throws the system's error when a port cannot be had: then none of them is. */
  add(wanted: ForwardRequest): Forward {
    const { proto, hostAddr, hostPort, guestPort, count = 1 } = wanted
    if (hostPort === 0 && count > 1) throw new RangeError('a row of ports needs its first')
    const version = versionOf(proto)
    const words = new Int32Array(4)
    if (!parse(hostAddr, words)) throw new TypeError(`not an IP address: ${hostAddr}`)
    checkVersion(version, words, proto)
    const guest = this.#guestOf(wanted.guestAddr, proto)
    checkVersion(version, guest, proto)
    const isOwnGuest = this.#isOwnGuest(guest)
    const forwarders: Forwarder[] = []
    try {
      for (let i = 0; i < count; i++) {
        const plan: ForwardPlan = {
          at: { words, port: hostPort + i },
          guest: { words: guest, port: guestPort + i },
          isOwnGuest,
          ipv6Only: version === 6,
        }
        forwarders.push(this.#nat.forward(proto.startsWith('tcp') ? 'tcp' : 'udp', plan))
      }
    } catch (error) {
      for (const forwarder of forwarders) this.#nat.unforward(forwarder)
      throw error
    }
    const forward: Forward = {
      ...{ id: ++this.#lastId, proto, hostAddr, hostPort: forwarders[0]!.bound.port },
      ...{ guestAddr: format(guest), guestPort, count },
    }
    this.#entries.set(forward.id, { forward, forwarders })
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
    // RFC 9293 §3.9.1.1, MUST-46.
    if (proto.startsWith('tcp') && isMapped(words) && !isHost(words[3]! & ~ipv4.netmask)) {
      throw new TypeError(`not the address of a host: ${text}`)
    }
    return words

    function isHost(part: number): boolean {
      return part !== 0 && part !== ~ipv4.netmask
    }
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
    for (const forwarder of entry.forwarders) this.#nat.unforward(forwarder)
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
