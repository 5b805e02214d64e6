/**
 * DNS over UDP: questions to the DNS address are asked of the host's name servers (dns-asker.ts).
 *
 * A question is a guest's endpoint and an id. The same one again asks the next server; its answer is the guest's as it came, and
 * an ICMP error where no server was there. Silence is answered with silence: the guest has given up by then.
 */
import { LostPacket } from '../stack/flow-errors.ts'
import type { Neighbour } from '../stack/neighbours.ts'
import type { Datagram } from '../stack/stack.ts'
import * as dns from '../stack/wire/dns.ts'
import * as ipv4 from '../stack/wire/ipv4.ts'
import * as udp from '../stack/wire/udp.ts'
import type { Batch } from '../sys/batch.ts'
import { type Asker, DnsAsker, MAX_QUESTION, type Question } from './dns-asker.ts'
import type { FlowEnd } from './flow-journal.ts'
import { nameOf } from './guest-flows.ts'
import { type Host, isForDns } from './host.ts'

export class DnsRelay {
  readonly asker: DnsAsker
  readonly #host: Host
  /** A place for an answer of our own. */
  readonly #at: number
  readonly #questions = new Map<string, GuestQuestion>()

  /** `batch` is borrowed for each receive. */
  constructor(host: Host, batch: Batch) {
    this.#host = host
    this.#at = host.arena.reserve(MAX_QUESTION)
    this.asker = new DnsAsker(host, batch)
  }

  /** Takes the datagram when it is for the name server; false when it is for somebody else. */
  receive(datagram: Datagram): boolean {
    const { options, stack, arena } = this.#host
    const { key, at, len, neighbour } = datagram
    if (!isForDns(options, key)) return false
    const isQuestion = dns.check(arena.view, at, at + len) && dns.isQuery(arena.view, at)
    if (!isQuestion || len > MAX_QUESTION) {
      stack.counters.drop.dnsMalformed++
      return true
    }
    if (this.answersItself(datagram)) return true
    const name = `${nameOf(key, true)} ${dns.id(arena.view, at)}`
    const octets = arena.bytes.slice(at, at + len)
    const known = this.#questions.get(name)
    if (known?.isSame(octets)) {
      known.neighbour = neighbour
      known.question.askNext(true)
      return true
    }
    if (known !== undefined) this.asker.close(known.question, 'expired')
    const question = new GuestQuestion(this.#host, key.slice(), neighbour, octets)
    question.onClosed = () => {
      if (this.#questions.get(name) === question) this.#questions.delete(name)
    }
    this.#questions.set(name, question)
    question.question = this.asker.ask(question.key, octets, question)
    return true
  }

  /** A question to the name server about a name of the program's own is answered; false when it is about another. */
  answersItself({ key, at, len, neighbour }: Datagram): boolean {
    const { names, arena, stack, reactor } = this.#host
    if (names.isEmpty || len > MAX_QUESTION) return false
    arena.bytes.copyWithin(this.#at, at, at + len)
    const end = names.answer(arena.view, this.#at, this.#at + len, this.#at + dns.UDP_LEN)
    if (end < 0) return false
    stack.transmitter.sendUdp(key, neighbour, this.#at, end - this.#at, reactor.now)
    return true
  }

  deadline(): number {
    return this.asker.deadline()
  }

  timeout(now: number): void {
    this.asker.timeout(now)
  }

  destroy(): void {
    this.asker.destroy()
  }
}

class GuestQuestion implements Asker {
  readonly key: Int32Array
  neighbour: Neighbour
  question!: Question
  onClosed!: () => void
  readonly #host: Host
  readonly #octets: Uint8Array

  constructor(host: Host, key: Int32Array, neighbour: Neighbour, octets: Uint8Array) {
    this.#host = host
    this.key = key
    this.neighbour = neighbour
    this.#octets = octets
  }

  isSame(octets: Uint8Array): boolean {
    return Buffer.compare(octets, this.#octets) === 0
  }

  answered(at: number, len: number): void {
    const { stack, reactor } = this.#host
    stack.transmitter.sendUdp(this.key, this.neighbour, at, len, reactor.now)
  }

  closed(end: FlowEnd): void {
    this.onClosed()
    if (end !== 'host-unreachable') return
    const { stack, reactor } = this.#host
    lost.key.set(this.key)
    lost.protocol = ipv4.UDP
    lost.first = this.key[8]!
    lost.second = (udp.HEADER_LEN + this.#octets.length) << 16
    stack.flowErrors.about(lost, this.neighbour, 'port-unreachable', reactor.now)
  }
}

const lost = new LostPacket()
