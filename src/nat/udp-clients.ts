/**
 * The clients of one published UDP port: where each really is, and the address and port as which the
 * guest sees it. Two that the guest would take for one (behind the gateway's address) get different ports. As
 * many as there may be are remembered; then the one that was silent longest is forgotten.
 */
import { isIpv4 } from '../stack/flow-table.ts'
import type { Endpoint } from '../sys/socket.ts'

/** A number where it is IPv4; over IPv6, which is rarer, text. */
type Name = number | string

interface Client extends Endpoint {
  /** As the guest sees it. */
  readonly seen: Name
  readonly seenPort: number
}

export class UdpClients {
  /** In the order in which they were heard. */
  readonly #clients = new Map<Name, Client>()
  readonly #bySight = new Map<Name, Client>()
  readonly #most: number
  #latest: Client | undefined

  constructor(most: number) {
    this.#most = most
  }

  /** `client` was heard, and `key` shows it; its port there becomes another when somebody else has that. */
  hear(client: Endpoint, key: Int32Array): void {
    const name = nameOf(client)
    let known = this.#clients.get(name)
    if (known === undefined) known = this.#add(name, client, key)
    else if (known !== this.#latest) {
      this.#clients.delete(name)
      this.#clients.set(name, known)
    }
    if (client.from !== undefined) known.from?.set(client.from)
    this.#latest = known
    key[8] = (key[8]! & ~0xffff) | known.seenPort
  }

  /** Where the client is that the host's side of `key` shows. */
  find(key: Int32Array): Endpoint | undefined {
    return this.#bySight.get(sightOf(key))
  }

  #add(name: Name, { words, port, scope = 0, from }: Endpoint, key: Int32Array): Client {
    if (this.#clients.size >= this.#most) this.#forgetOldest()
    for (let free = 65535; this.#bySight.has(sightOf(key)); free--) {
      key[8] = (key[8]! & ~0xffff) | free
    }
    const place = { words: words.slice(), port, scope, from: from?.slice() }
    const client: Client = { ...place, seen: sightOf(key), seenPort: key[8]! & 0xffff }
    this.#clients.set(name, client)
    this.#bySight.set(client.seen, client)
    return client
  }

  #forgetOldest(): void {
    const [name, client] = this.#clients.entries().next().value!
    this.#clients.delete(name)
    this.#bySight.delete(client.seen)
  }
}

function nameOf({ words: w, port, scope = 0 }: Endpoint): Name {
  if (w[0] === 0 && w[1] === 0 && w[2] === 0xffff) return (w[3]! >>> 0) * 65536 + port
  return `${w[0]} ${w[1]} ${w[2]} ${w[3]} ${scope} ${port}`
}

/** The host's side of `key`. */
function sightOf(key: Int32Array): Name {
  const port = key[8]! & 0xffff
  if (isIpv4(key)) return (key[7]! >>> 0) * 65536 + port
  return `${key[4]} ${key[5]} ${key[6]} ${key[7]} ${port}`
}
