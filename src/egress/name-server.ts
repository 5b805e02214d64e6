/**
 * The name server of a guest whose egress is decided by name.
 *
 *  the guest                        here                                              the host's name servers
 *  question, UDP or TCP         →   read; is the name allowed?
 *                               ←   no: made up, without asking anybody
 *                                   yes: a question of our own, with that name    →
 *                                   judged: addresses are leased, or taken out    ←   answer
 *  answer, written anew         ←
 *
 * An answer that was cut for UDP is asked for again over TCP when the guest's question came so; else the guest does that.
 */

import {
  type Question as Asked,
  type Asker,
  type DnsAsker,
  MAX_QUESTION,
} from '../nat/dns-asker.ts'
import type { FlowEnd } from '../nat/flow-journal.ts'
import type { Host } from '../nat/host.ts'
import type { Server } from '../nat/resolvers.ts'
import {
  type AnswerContext,
  deniedAnswer,
  emptyAnswer,
  type JudgedAnswer,
  judgeAnswer,
  syntheticAnswer,
  upstreamQuery,
} from '../policy/answers.ts'
import type { DecidedBy } from '../policy/decisions.ts'
import {
  A,
  AAAA,
  ANY,
  type ExtendedError,
  FORMAT_ERROR,
  HTTPS,
  IN,
  isPlain,
  type Message,
  NO_ERROR,
  NOT_IMPLEMENTED,
  QR,
  RD,
  readMessage,
  SERVER_FAILURE,
  showName,
  TC,
  wireOf,
  writeMessage,
} from '../policy/evidence/dns-message.ts'
import { checkAtPort, type Rule } from '../policy/policy.ts'
import { QuestionLimits } from '../policy/question-limits.ts'
import type { Neighbour } from '../stack/neighbours.ts'
import type { Datagram } from '../stack/stack.ts'
import type { SynRequest } from '../stack/tcp/syn-request.ts'
import * as address from '../stack/wire/address.ts'
import * as dns from '../stack/wire/dns.ts'
import { randomWord } from '../sys/random.ts'
import { GuestStream, ServerStream } from './dns-over-tcp.ts'
import type { EgressGate } from './gate.ts'
import type { HookVerdict } from './hooks.ts'
import { type Sender, senderOf } from './sender.ts'

/** The most octets of a message over UDP without EDNS (RFC 1035 §4.2.1), and with it: ours. */
const PLAIN_UDP_LEN = 512
const MAX_UDP_LEN = 4096
const MAX_TCP_LEN = 0xffff
/** Ours, in ms: how long a name server may take over TCP, before another is asked. */
const TCP_PATIENCE = 2_000
/** Ours: connections of guests. */
const MAX_STREAMS = 64

/** A question of the guest, and how it is answered. */
interface GuestQuestion {
  readonly message: Message
  readonly sender: Sender
  /** The guest's flow: kept. */
  readonly key: Int32Array
  readonly isOverTcp: boolean
  reply(octets: Uint8Array): void
}

export class NameServer {
  readonly #gate: EgressGate
  readonly #host: Host
  readonly #asker: DnsAsker
  readonly #limits = new QuestionLimits()
  /** A place for a message. */
  readonly #at: number
  /** Questions over UDP that are under way, by who has asked and what. */
  readonly #asked = new Map<string, Asked | undefined>()
  /** The one whose last question is longest ago first. */
  readonly #streams = new Set<GuestStream>()
  /** … and until when they may take. */
  readonly #waiting = new Map<ServerStream, number>()
  #isDestroyed = false

  constructor(gate: EgressGate, asker: DnsAsker) {
    this.#gate = gate
    this.#host = gate.host
    this.#asker = asker
    this.#at = gate.host.arena.reserve(MAX_TCP_LEN + 2)
  }

  // --- from the guest ---

  receive({ key, at, len, neighbour }: Datagram): void {
    const { arena, stack } = this.#host
    const message = readMessage(arena.bytes, at, at + len)
    if (message === undefined || (message.flags & QR) !== 0 || len > MAX_QUESTION) {
      return void stack.counters.drop.dnsMalformed++
    }
    const { id, question, edns } = message
    const name = `${key.join(' ')} ${id} ${question.type} ${showName(question.wire)}`
    if (this.#asked.has(name)) return this.#asked.get(name)?.askNext(true)
    const most = Math.min(MAX_UDP_LEN, Math.max(PLAIN_UDP_LEN, edns?.udpLen ?? 0))
    const kept = key.slice()
    this.#asked.set(name, undefined)
    this.#decide(
      {
        message,
        sender: senderOf(key, neighbour),
        key: kept,
        isOverTcp: false,
        reply: (octets) => {
          this.#asked.delete(name)
          this.#send(kept, neighbour, octets)
        },
      },
      most,
      (asked) => {
        if (this.#asked.has(name)) this.#asked.set(name, asked)
      },
    )
  }

  #send(key: Int32Array, neighbour: Neighbour, octets: Uint8Array): void {
    const { arena, stack, reactor } = this.#host
    arena.bytes.set(octets, this.#at)
    stack.transmitter.sendUdp(key, neighbour, this.#at, octets.length, reactor.now)
  }

  /** A connection of the guest. */
  open(request: SynRequest): void {
    if (this.#streams.size >= MAX_STREAMS) this.#makeRoom()
    const sender = senderOf(request.key, request.neighbour)
    const stream: GuestStream = new GuestStream(
      this.#host,
      request,
      (octets, reply) => {
        const message = readMessage(octets, 0, octets.length)
        if (message === undefined || (message.flags & QR) !== 0) return stream.close()
        this.#streams.delete(stream)
        this.#streams.add(stream)
        this.#decide({ message, sender, key: request.key, isOverTcp: true, reply }, MAX_TCP_LEN)
      },
      () => this.#streams.delete(stream),
    )
    this.#streams.add(stream)
  }

  /** The connection goes whose last question is longest ago, and answered. */
  #makeRoom(): void {
    const streams = [...this.#streams]
    const stream = streams.find(({ isIdle }) => isIdle) ?? streams[0]!
    this.#streams.delete(stream)
    stream.close()
  }

  // --- the decision ---

  #decide(question: GuestQuestion, most: number, onAsked?: (asked: Asked) => void): void {
    const { decider, leases, isObserved } = this.#gate
    const { message, sender } = question
    const { wire } = message.question
    // What no policy can name is asked for where nothing is denied that is not named.
    const isNamed = message.question.name !== undefined
    const name = message.question.name ?? showName(wire).toLowerCase()
    const { now } = this.#host.reactor
    const { action, rule } = decider.admitQuestion(name)
    if (action === 'allow' && (isNamed || isObserved || decider.policy.default === 'allow')) {
      const limit = rule && this.#limits.check(decider.policy, sender.guest, rule, name, now)
      if (limit === undefined) return this.#forward(question, most, name, rule, onAsked)
      if (!isObserved) return this.#refuse(question, most, 'limit', rule, limit)
      this.#record(question, 'deny', 'limit', rule, limit)
      return this.#forward(question, most, name, rule, onAsked)
    }
    const denying = action === 'deny' ? rule : undefined
    if (denying === undefined) {
      const origin = leases.originOf(sender.guest, name, now)
      if (origin !== undefined && this.#isAllowed(sender, origin)) {
        return this.#forward(question, most, origin, undefined, onAsked)
      }
      if (this.#gate.hookedNames.has(sender.guest, name, now)) {
        return this.#forward(question, most, name, undefined, onAsked)
      }
      if (isNamed && this.#gate.hooks !== undefined && !isObserved) {
        return this.#askAbout(question, most, name)
      }
    }
    const by = denying !== undefined ? 'rule' : isNamed ? 'default' : 'malformed'
    const why = isNamed ? denying?.why : 'no policy can name it'
    if (!isObserved) return this.#refuse(question, most, by, denying, why)
    this.#record(question, 'deny', by, denying, why)
    this.#forward(question, most, name, denying, onAsked)
  }

  /** May the name still be asked for? */
  #isAllowed({ guest }: Sender, name: string): boolean {
    const { decider, hookedNames } = this.#gate
    const { action, rule } = decider.admitQuestion(name)
    if (action === 'allow') return true
    return rule === undefined && hookedNames.has(guest, name, this.#host.reactor.now)
  }

  #refuse(
    question: GuestQuestion,
    most: number,
    by: DecidedBy,
    rule: Rule | undefined,
    why: string | undefined,
  ): void {
    this.#record(question, 'deny', by, rule, why)
    const { denied } = this.#gate.decider.policy.dns
    const text = rule === undefined ? 'no rule allows it' : `denied by the rule ${ascii(rule.id)}`
    const { message, error } = deniedAnswer(question.message, denied, text)
    question.reply(writeMessage(message, most, error))
  }

  #record(
    { message, sender }: GuestQuestion,
    verdict: 'allow' | 'deny',
    by: DecidedBy,
    rule: Rule | undefined,
    why: string | undefined,
  ): void {
    const { wire, type } = message.question
    this.#gate.decided({
      kind: 'question',
      verdict,
      by,
      guest: sender.address,
      name: showName(wire).toLowerCase(),
      type: TYPES[type] ?? `TYPE${type}`,
      ...(rule !== undefined && { rule: rule.id }),
      ...(why !== undefined && { why }),
    })
  }

  // --- hooks ---

  #askAbout(question: GuestQuestion, most: number, name: string): void {
    const hooks = this.#gate.hooks!
    if (!hooks.asked.query) return this.#makeUp(question, most, name)
    const { sender } = question
    const key = `${sender.guest} ${name} query`
    const decide = (verdict: HookVerdict): void => {
      const { now } = this.#host.reactor
      if (verdict.action === 'deny') {
        return this.#refuse(question, most, 'hook', undefined, verdict.why)
      }
      const until = verdict.for === 'session' ? Infinity : verdict.for === 'flow' ? 0 : verdict.for
      const least = 1000 * this.#gate.decider.policy.leaseMin
      this.#gate.hookedNames.allow(sender.guest, name, now + Math.max(until, least))
      this.#record(question, 'allow', 'hook', undefined, verdict.why)
      this.#ask(question, most, name)
    }
    const asked = { kind: 'query', guest: sender.address, name } as const
    const verdict = hooks.ask(key, asked, this.#host.reactor.now, decide)
    if (verdict !== undefined) decide(verdict)
  }

  /** An address that leads nowhere yet: the program is asked when the guest goes to it. */
  #makeUp(question: GuestQuestion, most: number, name: string): void {
    const { message, sender } = question
    const answer =
      message.question.type === A
        ? syntheticAnswer(message, this.#gate.madeUp.addressFor(sender.guest, name))
        : emptyAnswer(message, NO_ERROR)
    question.reply(writeMessage(answer, most))
  }

  // --- to the host's name servers ---

  #forward(
    question: GuestQuestion,
    most: number,
    origin: string,
    rule: Rule | undefined,
    onAsked?: (asked: Asked) => void,
  ): void {
    const isDenied = rule?.action === 'deny'
    if (!isDenied) this.#record(question, 'allow', rule ? 'rule' : 'default', rule, rule?.why)
    this.#ask(question, most, origin, onAsked)
  }

  #ask(
    question: GuestQuestion,
    most: number,
    origin: string,
    onAsked?: (asked: Asked) => void,
  ): void {
    const { message, sender, key, isOverTcp } = question
    const reply = (answer: Message, error?: ExtendedError): void =>
      question.reply(writeMessage(answer, most, error))
    if (!isPlain(message.question)) {
      // All types at once: none is an answer (RFC 8482 §4.1). The name is there, so it is not denied.
      const isAny = message.question.type === ANY && message.question.class === IN
      return reply(emptyAnswer(message, isAny ? NO_ERROR : NOT_IMPLEMENTED))
    }
    this.#query(key, message, isOverTcp, onAsked, (answer) => {
      if (answer === undefined) return reply(emptyAnswer(message, SERVER_FAILURE))
      const judged = judgeAnswer(message, answer, this.#context(sender, origin))
      this.#recordAnswer(question, origin, judged)
      reply(judged.message, judged.error)
    })
  }

  /** Asks for the guest of `key`; undefined is that there is no answer. */
  #query(
    key: Int32Array,
    message: Message,
    isOverTcp: boolean,
    onAsked: ((asked: Asked) => void) | undefined,
    onAnswer: (answer: Message | undefined) => void,
  ): void {
    const { arena, resolvers } = this.#host
    const ask = ({ edns, ...plain }: Message, isPlainDns: boolean): void => {
      const query = writeMessage(
        edns === undefined || isPlainDns ? plain : { ...plain, edns },
        MAX_QUESTION,
      )
      let answer: Message | undefined
      let answering: Server | undefined
      let isRefused = false
      const asker: Asker = {
        answered: (at, len, server) => {
          answer = readMessage(arena.bytes, at, at + len)
          answering = server
          isRefused = dns.rcode(arena.view, at) === FORMAT_ERROR
        },
        closed: (_end: FlowEnd) => {
          // A server that does not know EDNS (RFC 6891 §7).
          if (isRefused && !isPlainDns) return ask(plain, true)
          const isCut = answer !== undefined && (answer.flags & TC) !== 0
          if (!isCut || !isOverTcp) return onAnswer(answer)
          const others = resolvers.servers().filter((server) => server !== answering)
          const servers = answering === undefined ? others : [answering, ...others]
          this.#queryByTcp(servers, query, onAnswer)
        },
      }
      const asked = this.#asker.ask(key, query, asker)
      onAsked?.(asked)
    }
    ask(upstreamQuery(message, randomWord() & 0xffff), false)
  }

  /** One server after another, until one answers. */
  #queryByTcp(
    [server, ...others]: readonly Server[],
    query: Uint8Array,
    onAnswer: (answer: Message | undefined) => void,
  ): void {
    if (server === undefined) return onAnswer(undefined)
    let stream: ServerStream | undefined
    let isOver = false
    stream = new ServerStream(this.#host, this.#at, server, query, (octets) => {
      // Perhaps within its constructor: there may be no descriptor for it.
      isOver = true
      if (stream !== undefined) this.#waiting.delete(stream)
      const answer = octets && readMessage(octets, 0, octets.length)
      if (answer !== undefined || this.#isDestroyed) onAnswer(answer)
      else this.#queryByTcp(others, query, onAnswer)
    })
    if (!isOver) this.#waiting.set(stream, this.#host.reactor.now + TCP_PATIENCE)
  }

  #context(sender: Sender, origin: string): AnswerContext {
    const { decider, surroundings, leases, isObserved } = this.#gate
    const { now } = this.#host.reactor
    const { guest } = sender
    // By a hook, or since it is only observed: then it may have addresses of the Internet.
    const isUnlisted = decider.admitQuestion(origin).action === 'deny'
    return {
      ...{ decider, surroundings, leases, guest, origin, now, isObserved },
      mayHave: (judged) =>
        isUnlisted ? !judged.isHost && !judged.isPrivate : decider.admitAnswer(origin, judged),
      mayUseUdp: (port) => decider.admitsUdp(origin, port),
      isNameRead: (port) =>
        isUnlisted ? checkAtPort(port) !== 'none' : decider.readsName(origin, port),
    }
  }

  #recordAnswer({ message, sender }: GuestQuestion, origin: string, judged: JudgedAnswer): void {
    const { addresses, removed, deniedBy } = judged
    const common = {
      kind: 'answer' as const,
      guest: sender.address,
      name: origin,
      type: TYPES[message.question.type] ?? `TYPE${message.question.type}`,
    }
    if (deniedBy !== undefined) {
      const why = `it leads to ${deniedBy.name}`
      this.#gate.decided({ ...common, verdict: 'deny', by: 'chain', rule: deniedBy.rule.id, why })
    }
    if (removed.length > 0) {
      const why =
        'addresses that are private or not of the rule; "private": true would leave them in'
      const texts = removed.map((words) => address.format(words))
      this.#gate.decided({ ...common, verdict: 'deny', by: 'rebinding', why, addresses: texts })
    }
    if (addresses.length > 0 && this.#gate.listener !== undefined) {
      const texts = addresses.map((words) => address.format(words))
      this.#gate.decided({ ...common, verdict: 'allow', by: 'rule', addresses: texts })
    }
  }

  /** The addresses of the Internet that a name has, which the program has allowed. */
  resolve(
    key: Int32Array,
    sender: Sender,
    name: string,
    onAddresses: (addresses: readonly Int32Array[]) => void,
  ): void {
    const { now } = this.#host.reactor
    const least = 1000 * this.#gate.decider.policy.leaseMin
    this.#gate.hookedNames.allow(sender.guest, name, now + least)
    const found: Int32Array[] = []
    let left = 2
    for (const type of [A, AAAA]) {
      const question = { wire: wireOf(name), name, type, class: IN }
      const message: Message = { id: 0, flags: RD, question, answers: [], authority: [] }
      this.#query(key, message, true, undefined, (answer) => {
        if (answer !== undefined) {
          const judged = judgeAnswer(message, answer, this.#context(sender, name))
          found.push(...judged.addresses)
        }
        if (--left === 0) onAddresses(found)
      })
    }
  }

  // --- time ---

  deadline(): number {
    let next = Infinity
    for (const until of this.#waiting.values()) next = Math.min(next, until)
    return next
  }

  timeout(now: number): void {
    for (const [stream, until] of [...this.#waiting]) if (until <= now) stream.close(undefined)
  }

  destroy(): void {
    this.#isDestroyed = true
    for (const stream of [...this.#waiting.keys()]) stream.close(undefined)
    for (const stream of [...this.#streams]) stream.close()
  }
}

const TYPES: Readonly<Record<number, string>> = {
  [A]: 'A',
  [AAAA]: 'AAAA',
  [HTTPS]: 'HTTPS',
  5: 'CNAME',
  12: 'PTR',
  15: 'MX',
  16: 'TXT',
  33: 'SRV',
  64: 'SVCB',
}

/** What may stand in a message of DNS for people. */
const ascii = (text: string): string => text.replace(/[^ -~]/g, '?')
