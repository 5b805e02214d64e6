/**
 * Names that the program itself gives to addresses of the container's network: the name server's address answers for them,
 * and nobody outside is asked.
 *
 * A name has the addresses that were given to it, of either IP version; asked for anything else it is there and has
 * nothing (NOERROR without an answer), so that no other server is asked about it.
 */
import { equals, isMapped } from '../stack/wire/address.ts'
import * as dns from '../stack/wire/dns.ts'

/** Ours, in s: a name may go with the server that has it. */
const TTL = 5

export class Names {
  /** In lower case, without a dot at the end. */
  readonly #names = new Map<string, Int32Array[]>()
  readonly #question = new dns.Question()

  add(name: string, words: Int32Array): void {
    const addresses = this.#names.get(name)
    if (addresses === undefined) this.#names.set(name, [words])
    else addresses.push(words)
  }

  remove(name: string, words: Int32Array): void {
    const left = (this.#names.get(name) ?? []).filter((known) => known !== words)
    if (left.length > 0) this.#names.set(name, left)
    else this.#names.delete(name)
  }

  get isEmpty(): boolean {
    return this.#names.size === 0
  }

  /**
   * Makes the query in [at, end) of `v` its own response, when it is about one of the names: returns the end, which is
   * before `limit`; or -1 when it is about another name.
   */
  answer(v: DataView, at: number, end: number, limit: number): number {
    const question = this.#question
    if (!dns.check(v, at, end) || !dns.isQuery(v, at) || dns.opcode(v, at) !== dns.QUERY) return -1
    if (!dns.parseQuestion(v, at, end, question)) return -1
    const addresses = this.#names.get(dns.readName(v, question))
    if (addresses === undefined) return -1
    const { qtype, qclass } = question
    let to = dns.emitEmptyResponse(v, at, end, dns.AA | dns.NO_ERROR, question)
    if (qclass !== dns.IN) return to
    for (const [i, words] of addresses.entries()) {
      if (addresses.findIndex((known) => equals(known, words)) < i) continue // two ports of one address
      if (to + dns.MAX_RECORD_LEN > limit) break
      const type = isMapped(words) ? dns.A : dns.AAAA
      if (type === qtype) to = dns.emitAddress(v, at, to, words, type, TTL)
    }
    return to
  }
}
