/**
 * Who may send to a UDP port of the guest (RFC 4787 §5): anybody who knows it, or only whom the guest has sent to from
 * there, whatever their port or at that port only. One filter for each port; what it remembers is bounded.
 */
import { isMapped } from '../stack/wire/address.ts'
import type { Endpoint } from '../sys/socket.ts'

/** RFC 4787's words. The first lets peers find each other, the others let nobody in who was not asked (REQ-8). */
export type Filtering = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent'

/** Ours: the peers of one port that are remembered; then the one that was sent to longest ago is forgotten. */
export const MAX_PEERS = 1024

/** A number where it is IPv4; over IPv6, which is rarer, text. */
type Name = number | string

export class UdpFilter {
  readonly #withPort: boolean
  /** In the order in which they were sent to. */
  readonly #peers = new Set<Name>()
  #latest: Name = ''

  constructor(filtering: Exclude<Filtering, 'endpoint-independent'>) {
    this.#withPort = filtering === 'address-and-port-dependent'
  }

  /** The guest has sent to `peer`. */
  note(peer: Endpoint): void {
    const name = this.#nameOf(peer)
    if (name === this.#latest) return
    this.#latest = name
    this.#peers.delete(name)
    this.#peers.add(name)
    if (this.#peers.size > MAX_PEERS) this.#peers.delete(this.#peers.values().next().value!)
  }

  /** May `peer` send to the guest? */
  admits(peer: Endpoint): boolean {
    return this.#peers.has(this.#nameOf(peer))
  }

  #nameOf({ words: w, port, scope = 0 }: Endpoint): Name {
    const end = this.#withPort ? port : 0
    if (isMapped(w)) return (w[3]! >>> 0) * 65536 + end
    return `${w[0]} ${w[1]} ${w[2]} ${w[3]} ${scope} ${end}`
  }
}
