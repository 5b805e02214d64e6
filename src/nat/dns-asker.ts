/**
 * Questions of DNS asked of the host's name servers over UDP, whoever has asked them.
 *
 * Theory of Operation
 *
 *  Flows. A question has a socket for each server that is asked, connected to it: the port is another each time
 *  (RFC 5452 §9.2), and nobody else can answer.
 *
 *  Fail-over. Servers are asked in the order of resolv.conf, one after another: the next one when one is
 *  silent for PATIENCE, cannot be reached, or answers SERVFAIL, NOTIMP or REFUSED, as glibc has it; or
 *  when the question is repeated. Those before may still answer, and the first good answer counts.
 *  When all have failed a bad answer does, or none where nobody was there.
 *
 *  Data. Octets of question and answer go through as they are, of whatever size EDNS allows; an answer has
 *  to have id and question of what was asked.
 *
 *  Aging. A question is over with its answer, or after LIFETIME. At the limit the one whose time-out is nearest
 *  makes room.
 */
import { Deadlines, type Timed } from '../stack/deadlines.ts'
import * as dns from '../stack/wire/dns.ts'
import type { Batch } from '../sys/batch.ts'
import { EAGAIN, EPOLLET, EPOLLIN, SOCK_DGRAM } from '../sys/constants.ts'
import * as io from '../sys/io.ts'
import * as socket from '../sys/socket.ts'
import type { FlowEnd, FlowEntry } from './flow-journal.ts'
import type { Host } from './host.ts'
import { keepErrors } from './host-errors.ts'
import { bindTowards } from './outbound.ts'
import type { Handler } from './reactor.ts'
import type { Server } from './resolvers.ts'

/** Ours, in ms: less than the time after which a guest asks again (musl: 2.5 s, glibc: 5 s). */
const PATIENCE = 1500
/** Ours, in ms: longer than a guest waits for its last try. */
const LIFETIME = 30_000
/** Ours: what is kept to be asked again; no question is as long. */
export const MAX_QUESTION = 4096

/** Who has asked. */
export interface Asker {
  /** An answer is at [at, at + len) of memory, borrowed; of that server, unless it is a bad one that was kept. `closed` follows. */
  answered(at: number, len: number, server?: Server): void
  /** The question is over: 'finished' with an answer, 'host-unreachable' where nobody was there, 'expired' after silence. */
  closed(end: FlowEnd): void
}

export class DnsAsker {
  readonly host: Host
  /** Borrowed for each receive. */
  readonly batch: Batch
  readonly deadlines: Deadlines<Question> = new Deadlines()
  /** A place for the question that is being asked. */
  readonly at: number
  readonly #questions = new Set<Question>()
  readonly #most: number

  constructor(host: Host, batch: Batch) {
    this.host = host
    this.batch = batch
    this.at = host.arena.reserve(MAX_QUESTION)
    this.#most = Math.max(4, host.options.limits.datagramFlows >> 2)
  }

  /** Asks for the guest of `key`, which is kept. The question is `octets`, at most MAX_QUESTION, which are kept, too. */
  ask(key: Int32Array, octets: Uint8Array, asker: Asker): Question {
    if (this.#questions.size >= this.#most) {
      const first = this.deadlines.takeFirst()
      if (first !== undefined) this.close(first, 'evicted')
    }
    const question = new Question(this, key, octets, asker)
    this.#questions.add(question)
    this.host.counters.udpOpened++
    question.askNext(false)
    return question
  }

  close(question: Question, end: FlowEnd): void {
    this.#questions.delete(question)
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
    for (const question of [...this.#questions]) this.close(question, 'closed')
  }
}

export class Question implements Timed {
  deadline: number = Infinity
  heapIndex = -1
  heapKey = 0
  readonly #owner: DnsAsker
  readonly #octets: Uint8Array
  readonly #asker: Asker
  /** In the order in which they are asked. */
  readonly #servers: readonly Server[]
  #asked = 0
  /** Servers that were asked, and from which something may come. */
  readonly #asking = new Set<Asking>()
  /** An answer that says that the server could not do it. */
  #bad: Uint8Array | undefined
  readonly #entry: FlowEntry
  readonly #expiresAt: number

  constructor(owner: DnsAsker, key: Int32Array, octets: Uint8Array, asker: Asker) {
    const { journal, reactor, resolvers } = owner.host
    this.#owner = owner
    this.#octets = octets
    this.#asker = asker
    this.#servers = resolvers.servers()
    this.#entry = journal.open('udp', 'guest', key, this.#servers[0]!, reactor.now)
    this.#expiresAt = reactor.now + LIFETIME
  }

  /** Asks the next server that can be reached. When there is none more, those before are asked `again`, or all is over. */
  askNext(again: boolean): void {
    const { reactor } = this.#owner.host
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
    this.#owner.deadlines.update(this)
  }

  #ask(server: Server): boolean {
    const { host } = this.#owner
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
    const { at, host } = this.#owner
    const octets = this.#octets
    host.arena.bytes.set(octets, at)
    const n = socket.send(fd, host.arena, at, octets.length)
    if (n >= 0) this.#entry.fromGuest += octets.length
    return n >= 0
  }

  #drop(asking: Asking): void {
    this.#owner.host.reactor.remove(asking)
    io.close(asking.fd)
    this.#asking.delete(asking)
  }

  /** The socket has something to tell. */
  ready(asking: Asking): void {
    const { batch, host } = this.#owner
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
    const { resolvers, arena, stack } = this.#owner.host
    if (!this.#isAnswer(at, at + len)) {
      stack.counters.drop.dnsStranger++
      return false
    }
    resolvers.hasAnswered(asking.server)
    if (isBad(dns.rcode(arena.view, at))) {
      this.#bad = arena.bytes.slice(at, at + len)
      this.#failed(asking)
    } else {
      this.#answer(at, len, asking.server)
    }
    return true
  }

  #answer(at: number, len: number, server?: Server): void {
    this.#entry.toGuest += len
    this.#asker.answered(at, len, server)
    this.#owner.close(this, 'finished')
  }

  /** RFC 5452 §9.1: the same id and the same question; an error may come without one. */
  #isAnswer(at: number, end: number): boolean {
    const { view } = this.#owner.host.arena
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
    const { resolvers } = this.#owner.host
    for (const asking of this.#asking) {
      if (!asking.isCounted) resolvers.wasSilent(asking.server)
      asking.isCounted = true
    }
  }

  /** No server has a good answer. */
  #giveUp(): void {
    this.#countSilences()
    const { at, host } = this.#owner
    const { arena } = host
    if (this.#bad !== undefined && this.#bad.length <= MAX_QUESTION) {
      arena.bytes.set(this.#bad, at)
      return this.#answer(at, this.#bad.length)
    }
    const isSilent = this.#asking.size > 0
    this.#owner.close(this, isSilent ? 'expired' : 'host-unreachable')
  }

  release(end: FlowEnd): void {
    const { journal, reactor } = this.#owner.host
    for (const asking of this.#asking) this.#drop(asking)
    journal.close(this.#entry, end, reactor.now)
    this.#asker.closed(end)
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
