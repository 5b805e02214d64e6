/**
 * DNS over UDP: questions to the DNS address are asked of the host's name servers.
 *
 * Theory of Operation
 *
 *  Flows. A question is a guest's endpoint and an id. It has a socket for each server that is asked,
 *  connected to it: the port is another each time (RFC 5452 §9.2), and nobody else can answer.
 *
 *  Fail-over. Servers are asked in the order of resolv.conf, one after another: the next one when one is
 *  silent for PATIENCE, cannot be reached, or answers SERVFAIL, NOTIMP or REFUSED, as glibc has it; or
 *  when the guest repeats the question. Those before may still answer, and the first good answer is the
 *  guest's. When all have failed it gets a bad answer, or an ICMP error where nobody was there.
 *
 *  Data. Octets of question and answer go through as they are, of whatever size EDNS allows; an answer has
 *  to have id and question of what was asked.
 *
 *  Aging. A question is over with its answer, or after LIFETIME. At the limit the one whose time-out is nearest
 *  makes room.
 */
import { Deadlines, type Timed } from '../stack/deadlines.ts'
import { LostPacket } from '../stack/flow-errors.ts'
import type { Neighbour } from '../stack/neighbours.ts'
import type { Datagram } from '../stack/stack.ts'
import * as dns from '../stack/wire/dns.ts'
import * as ipv4 from '../stack/wire/ipv4.ts'
import * as udp from '../stack/wire/udp.ts'
import type { Batch } from '../sys/batch.ts'
import { EAGAIN, EPOLLET, EPOLLIN, SOCK_DGRAM } from '../sys/constants.ts'
import * as io from '../sys/io.ts'
import * as socket from '../sys/socket.ts'
import type { FlowEnd, FlowEntry } from './flow-journal.ts'
import { nameOf } from './guest-flows.ts'
import { type Host, isForDns } from './host.ts'
import { keepErrors } from './host-errors.ts'
import { bindTowards } from './outbound.ts'
import type { Handler } from './reactor.ts'
import type { Server } from './resolvers.ts'

/** Ours, in ms: less than the time after which a guest asks again (musl: 2.5 s, glibc: 5 s). */
const PATIENCE = 1500
/** Ours, in ms: longer than a guest waits for its last try. */
const LIFETIME = 30_000
/** Ours: what is kept to be asked again; no question is as long. */
const MAX_QUESTION = 4096

export class DnsRelay {
  readonly host: Host
  /** Borrowed for each receive. */
  readonly batch: Batch
  readonly #questions = new Map<string, Question>()
  readonly deadlines: Deadlines<Question> = new Deadlines()
  readonly #most: number
  /** A place for the question that is being asked. */
  readonly at: number

  constructor(host: Host, batch: Batch) {
    this.host = host
    this.batch = batch
    this.at = host.arena.reserve(MAX_QUESTION)
    this.#most = Math.max(4, host.options.limits.datagramFlows >> 2)
  }

  /** Takes the datagram when it is for the name server; false when it is for somebody else. */
  receive(datagram: Datagram): boolean {
    const { options, counters, stack, arena } = this.host
    const { key, at, len, neighbour } = datagram
    if (!isForDns(options, key)) return false
    const isQuestion = dns.check(arena.view, at, at + len) && dns.isQuery(arena.view, at)
    if (!isQuestion || len > MAX_QUESTION) {
      stack.counters.drop.dnsMalformed++
      return true
    }
    const name = `${nameOf(key, true)} ${dns.id(arena.view, at)}`
    const octets = arena.bytes.slice(at, at + len)
    const known = this.#questions.get(name)
    if (known?.isSame(octets)) {
      known.neighbour = neighbour
      known.askNext(true)
      return true
    }
    if (known !== undefined) this.close(known, 'expired')
    if (this.#questions.size >= this.#most) {
      const first = this.deadlines.takeFirst()
      if (first !== undefined) this.close(first, 'evicted')
    }
    const question = new Question(this, name, key.slice(), neighbour, octets)
    this.#questions.set(name, question)
    counters.udpOpened++
    question.askNext(false)
    return true
  }

  close(question: Question, end: FlowEnd): void {
    this.#questions.delete(question.name)
    this.deadlines.remove(question)
    question.release(end)
    this.host.counters.udpClosed++
  }

  deadline(): number {
    return this.deadlines.next()
  }

  timeout(now: number): void {
    for (;;) {
      const question = this.deadlines.pop(now)
      if (question === undefined) return
      question.timeout(now)
    }
  }

  destroy(): void {
    for (const question of [...this.#questions.values()]) this.close(question, 'closed')
  }
}

class Question implements Timed {
  deadline: number = Infinity
  heapIndex = -1
  heapKey = 0
  readonly name: string
  neighbour: Neighbour
  readonly #relay: DnsRelay
  readonly #key: Int32Array
  readonly #octets: Uint8Array
  /** In the order in which they are asked. */
  readonly #servers: readonly Server[]
  #asked = 0
  /** Servers that were asked, and from which something may come. */
  readonly #asking = new Set<Asking>()
  /** An answer that says that the server could not do it. */
  #bad: Uint8Array | undefined
  readonly #entry: FlowEntry
  readonly #expiresAt: number

  constructor(
    relay: DnsRelay,
    name: string,
    key: Int32Array,
    neighbour: Neighbour,
    octets: Uint8Array,
  ) {
    const { journal, reactor, resolvers } = relay.host
    this.#relay = relay
    this.name = name
    this.neighbour = neighbour
    this.#key = key
    this.#octets = octets
    this.#servers = resolvers.servers()
    this.#entry = journal.open('udp', 'guest', key, this.#servers[0]!, reactor.now)
    this.#expiresAt = reactor.now + LIFETIME
  }

  isSame(octets: Uint8Array): boolean {
    return Buffer.compare(octets, this.#octets) === 0
  }

  /** Asks the next server that can be reached. When there is none more, those before are asked `again`, or all is over. */
  askNext(again: boolean): void {
    const { reactor } = this.#relay.host
    while (this.#asked < this.#servers.length) {
      if (this.#ask(this.#servers[this.#asked++]!)) {
        const isLast = this.#asked === this.#servers.length
        return this.#wait(isLast ? this.#expiresAt : reactor.now + PATIENCE)
      }
    }
    if (again) for (const { fd } of this.#asking) this.#send(fd)
    if (this.#asking.size === 0) return this.#giveUp()
    this.#wait(this.#expiresAt)
  }

  #wait(until: number): void {
    this.deadline = until
    this.#relay.deadlines.update(this)
  }

  #ask(server: Server): boolean {
    const { host } = this.#relay
    const family = socket.familyOf(server)
    const fd = socket.socket(family, SOCK_DGRAM)
    if (fd < 0) {
      host.counters.resources++
      return false
    }
    keepErrors(fd, family)
    const asking = new Asking(this, server, fd)
    const isAsked =
      bindTowards(host, fd, server) >= 0 &&
      socket.connect(fd, server) >= 0 &&
      host.reactor.add(fd, EPOLLIN | EPOLLET, asking) >= 0
    if (isAsked && this.#send(fd)) {
      this.#asking.add(asking)
      return true
    }
    this.#drop(asking)
    return false
  }

  #send(fd: number): boolean {
    const { at, host } = this.#relay
    const octets = this.#octets
    host.arena.bytes.set(octets, at)
    const n = socket.send(fd, host.arena, at, octets.length)
    if (n >= 0) this.#entry.fromGuest += octets.length
    return n >= 0
  }

  #drop(asking: Asking): void {
    this.#relay.host.reactor.remove(asking)
    io.close(asking.fd)
    this.#asking.delete(asking)
  }

  /** The socket has something to tell. */
  ready(asking: Asking): void {
    const { batch, host } = this.#relay
    for (;;) {
      const n = batch.receive(asking.fd, host.arena)
      if (n === -EAGAIN) return
      if (n < 0) return this.#failed(asking)
      for (let i = 0; i < n; i++) {
        if (this.#arrived(asking, batch.at[i]!, batch.len[i]!)) return
      }
      if (n < batch.most) return
    }
  }

  /** The server cannot be reached, or could not do it. */
  #failed(asking: Asking): void {
    this.#drop(asking)
    if (this.#asked < this.#servers.length || this.#asking.size === 0) this.askNext(false)
  }

  /** True when that is the end of the asking. */
  #arrived(asking: Asking, at: number, len: number): boolean {
    const { resolvers, arena, stack } = this.#relay.host
    if (!this.#isAnswer(at, at + len)) {
      stack.counters.drop.dnsStranger++
      return false
    }
    resolvers.hasAnswered(asking.server)
    if (isBad(dns.rcode(arena.view, at))) {
      this.#bad = arena.bytes.slice(at, at + len)
      this.#failed(asking)
    } else {
      this.#answer(at, len)
    }
    return true
  }

  #answer(at: number, len: number): void {
    const { stack, reactor } = this.#relay.host
    const key = this.#key
    this.#entry.toGuest += len
    stack.transmitter.sendUdp(key, this.neighbour, at, len, reactor.now)
    this.#relay.close(this, 'finished')
  }

  /** RFC 5452 §9.1: the same id and the same question; an error may come without one. */
  #isAnswer(at: number, end: number): boolean {
    const { view } = this.#relay.host.arena
    const octets = this.#octets
    const own = new DataView(octets.buffer, octets.byteOffset, octets.length)
    if (!dns.check(view, at, end) || dns.isQuery(view, at) || dns.id(view, at) !== dns.id(own, 0)) {
      return false
    }
    // What we cannot read is not judged.
    if (!dns.parseQuestion(own, 0, octets.length, ours)) return true
    if (dns.qdcount(view, at) === 0) return dns.rcode(view, at) !== dns.NO_ERROR
    if (!dns.parseQuestion(view, at, end, theirs)) return false
    return dns.isSameQuestion(own, ours, view, theirs)
  }

  timeout(now: number): void {
    if (now >= this.#expiresAt) return this.#giveUp()
    this.#countSilences()
    this.askNext(false)
  }

  #countSilences(): void {
    const { resolvers } = this.#relay.host
    for (const asking of this.#asking) {
      if (!asking.isCounted) resolvers.wasSilent(asking.server)
      asking.isCounted = true
    }
  }

  /** No server has a good answer. */
  #giveUp(): void {
    this.#countSilences()
    const { at, host } = this.#relay
    const { arena } = host
    if (this.#bad !== undefined && this.#bad.length <= MAX_QUESTION) {
      arena.bytes.set(this.#bad, at)
      return this.#answer(at, this.#bad.length)
    }
    // Silence is answered with silence: the guest has given up by now.
    if (this.#asking.size > 0) return this.#relay.close(this, 'expired')
    lost.key.set(this.#key)
    lost.protocol = ipv4.UDP
    lost.first = this.#key[8]!
    lost.second = (udp.HEADER_LEN + this.#octets.length) << 16
    host.stack.flowErrors.about(lost, this.neighbour, 'port-unreachable', host.reactor.now)
    this.#relay.close(this, 'host-unreachable')
  }

  release(end: FlowEnd): void {
    const { journal, reactor } = this.#relay.host
    for (const asking of this.#asking) this.#drop(asking)
    journal.close(this.#entry, end, reactor.now)
  }
}

/** One server that was asked. */
class Asking implements Handler {
  token = -1
  isPending = false
  readonly question: Question
  readonly server: Server
  readonly fd: number
  /** Its silence was told to the resolvers. */
  isCounted = false

  constructor(question: Question, server: Server, fd: number) {
    this.question = question
    this.server = server
    this.fd = fd
  }

  ready(_events: number): void {
    this.question.ready(this)
  }
}

const isBad = (rcode: number): boolean =>
  rcode === dns.SERVER_FAILURE || rcode === dns.NOT_IMPLEMENTED || rcode === dns.REFUSED

const ours = new dns.Question()
const theirs = new dns.Question()
const lost = new LostPacket()
