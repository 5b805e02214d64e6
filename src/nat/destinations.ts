/**
 * Where one UDP or ICMP flow of the guest may send to, as the gate said: asked once for each destination. The gate ends a
 * passage when its rules have changed; then it is asked anew.
 */
import { isIpv4 } from '../stack/flow-table.ts'
import type { Datagram } from '../stack/stack.ts'
import type { DatagramProtocol, Gate, Passage } from './gate.ts'

/** Ours: destinations of one flow; the oldest makes room. */
const MOST = 256

interface Destination {
  readonly key: Int32Array
  readonly passage: Passage
  fromGuest: number
  toGuest: number
}

type Name = number | string

export class Destinations {
  readonly #protocol: DatagramProtocol
  readonly #known = new Map<Name, Destination>()
  /** The one that was used last: most flows have no other. */
  #latest: Destination | undefined

  constructor(protocol: DatagramProtocol) {
    this.#protocol = protocol
  }

  /** May the datagram be sent? If not, the guest was told. */
  admits(gate: Gate, datagram: Datagram): boolean {
    const known = this.#find(datagram.key)
    if (known !== undefined) {
      known.fromGuest += datagram.len
      return true
    }
    const passage = gate.admit(this.#protocol, datagram)
    if (passage === undefined) return false
    this.#add(datagram.key, passage).fromGuest += datagram.len
    return true
  }

  /** May what comes from the host's side of the key, as the guest sees that, reach the guest? */
  admitsReply(gate: Gate, key: Int32Array, neighbour: Datagram['neighbour'], len: number): boolean {
    const known = this.#find(key)
    if (known === undefined) return gate.admitsReply(this.#protocol, key, neighbour)
    known.toGuest += len
    return true
  }

  close(): void {
    for (const destination of this.#known.values()) end(destination)
    this.#known.clear()
    this.#latest = undefined
  }

  #find(key: Int32Array): Destination | undefined {
    const protocol = this.#protocol
    if (this.#latest !== undefined && isSame(this.#latest.key, key, protocol)) return this.#latest
    const found = this.#known.get(nameOf(key, protocol))
    if (found !== undefined) this.#latest = found
    return found
  }

  #add(key: Int32Array, passage: Passage): Destination {
    if (this.#known.size >= MOST) {
      const [name, oldest] = this.#known.entries().next().value!
      this.#known.delete(name)
      end(oldest)
    }
    const name = nameOf(key, this.#protocol)
    const destination = { key: key.slice(), passage, fromGuest: 0, toGuest: 0 }
    passage.revoke = () => {
      this.#known.delete(name)
      if (this.#latest === destination) this.#latest = undefined
      end(destination)
    }
    this.#known.set(name, destination)
    this.#latest = destination
    return destination
  }
}

function end({ passage, fromGuest, toGuest }: Destination): void {
  passage.revoke = undefined
  passage.closed(fromGuest, toGuest)
}

/** The host's address and port. ICMP has no ports. */
function nameOf(key: Int32Array, protocol: DatagramProtocol): Name {
  const port = protocol === 'icmp' ? 0 : key[8]! & 0xffff
  if (isIpv4(key)) return (key[7]! >>> 0) * 65536 + port
  return `${key[4]} ${key[5]} ${key[6]} ${key[7]} ${port}`
}

function isSame(a: Int32Array, b: Int32Array, protocol: DatagramProtocol): boolean {
  for (let i = 4; i < 8; i++) if (a[i] !== b[i]) return false
  return protocol === 'icmp' || (a[8]! & 0xffff) === (b[8]! & 0xffff)
}
