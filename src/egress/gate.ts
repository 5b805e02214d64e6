/**
 * The gate of a network with an egress policy: it knows the rules, the leases and the flows that are there.
 *
 * Theory of Operation
 *
 *  A flow. Who has sent it is told by the Ethernet address, so that IPv4 and IPv6 of a container are one. Its address is judged
 *  by the rules, with the names that the container has the address for. What no rule is about may be asked of the program
 *  (hooks.ts); the SYN waits.
 *
 *  Denied: a RST, or ICMP "administratively prohibited".
 *
 *  A change of the policy takes effect at once: each flow is judged anew by the name that it was admitted by. Leases stay; whether
 *  they are good for anything is judged anew with each flow.
 */

import type { DnsAsker } from '../nat/dns-asker.ts'
import type { DatagramProtocol, Gate, Passage } from '../nat/gate.ts'
import type { Host } from '../nat/host.ts'
import { addressKey, Surroundings } from '../policy/addresses.ts'
import { type Admission, Decider, type Destination } from '../policy/decider.ts'
import type { Decided } from '../policy/decisions.ts'
import { Leases } from '../policy/leases.ts'
import type { Policy, Protocol, Rule } from '../policy/policy.ts'
import { Deadlines } from '../stack/deadlines.ts'
import type { Neighbour } from '../stack/neighbours.ts'
import type { Datagram } from '../stack/stack.ts'
import type { SynRequest } from '../stack/tcp/syn-request.ts'
import * as address from '../stack/wire/address.ts'
import { HookedNames, hookedBy } from './hooked-names.ts'
import type { Hooks, HookVerdict } from './hooks.ts'
import { HostAddresses } from './host-addresses.ts'
import { MadeUpAddresses } from './made-up-addresses.ts'
import { NameServer } from './name-server.ts'
import {
  describeStart,
  FlowPassage,
  type FlowStart,
  type PassageOwner,
  type Place,
} from './passages.ts'
import { senderOf } from './sender.ts'

/** Ours, in ms: how long a name may take from the first octet on. */
const READING_TIME = 10_000

export interface EgressCounters {
  flowsAllowed: number
  flowsDenied: number
  questionsAllowed: number
  questionsDenied: number
}

export class EgressGate implements Gate, PassageOwner {
  readonly counters: EgressCounters = {
    flowsAllowed: 0,
    flowsDenied: 0,
    questionsAllowed: 0,
    questionsDenied: 0,
  }
  readonly host: Host
  readonly leases: Leases = new Leases()
  readonly madeUp: MadeUpAddresses = new MadeUpAddresses()
  readonly hookedNames: HookedNames = new HookedNames()
  readonly hooks: Hooks | undefined
  decider: Decider
  /** Told of each decision, with its time in ms since 1970. */
  listener: ((decided: Decided, time: number) => void) | undefined
  #surroundings: Surroundings
  readonly #hostAddresses: HostAddresses
  readonly #names: NameServer
  readonly #passages = new Set<FlowPassage>()
  readonly #reading = new Deadlines<FlowPassage>()

  constructor(host: Host, asker: DnsAsker, policy: Policy, hooks: Hooks | undefined) {
    const { gateway, ipv6 } = host.options
    const gateways = [address.formatIpv4(gateway), ...(ipv6 ? [address.format(ipv6.gateway)] : [])]
    this.host = host
    this.hooks = hooks
    this.decider = new Decider(policy)
    this.#surroundings = new Surroundings(policy.nat64)
    this.#hostAddresses = new HostAddresses(gateways)
    this.#names = new NameServer(this, asker)
  }

  /** All flows are judged by it at once; those that it denies are reset. */
  setPolicy(policy: Policy): void {
    this.decider = new Decider(policy)
    this.#surroundings = new Surroundings(policy.nat64)
    this.#hostAddresses.forget()
    for (const passage of [...this.#passages]) {
      if (passage.isAllowedBy(this.decider)) continue
      this.decided({ ...passage.describe('deny', 'rule'), why: 'the policy has changed' })
      passage.revoke?.()
    }
  }

  get isObserved(): boolean {
    return this.decider.policy.mode === 'observe'
  }

  /** With the host's addresses as they are now. */
  get surroundings(): Surroundings {
    this.#hostAddresses.update(this.#surroundings, this.host.reactor.now)
    return this.#surroundings
  }

  // --- flows ---

  openTcp(request: SynRequest, dial: (passage: Passage) => void): void {
    const start = this.#start('tcp', request.key, request.neighbour)
    const { admission, hooked } = this.#admit(start)
    if (admission.action === 'allow') return dial(this.#pass(start, admission, hooked))
    if (this.isObserved) return dial(this.#passObserved(start, admission))
    if (admission.rule === undefined && this.hooks?.asked.flow) {
      return this.#askAbout(start, request, dial)
    }
    this.#deny(start, admission)
    request.refuse()
  }

  tookEndpoint({ key, neighbour }: SynRequest): void {
    if (this.listener === undefined) return
    this.decided(describeStart(this.#start('tcp', key, neighbour), 'allow', 'endpoint'))
  }

  admit(protocol: DatagramProtocol, datagram: Datagram): Passage | undefined {
    const start = this.#start(protocol, datagram.key, datagram.neighbour)
    const { admission, hooked } = this.#admit(start)
    if (admission.action === 'allow' && admission.check === 'none') {
      return this.#pass(start, admission, hooked)
    }
    if (this.isObserved) return this.#passObserved(start, admission)
    if (admission.action === 'deny' && admission.rule === undefined) {
      const asked = this.#askable(start)
      const verdict = this.#mayAsk(asked) ? this.#ask(asked) : DENIED
      if (verdict === undefined) return undefined
      if (verdict.action === 'allow') return this.#passHooked(asked)
    }
    this.#deny(start, admission)
    const { stack, reactor } = this.host
    stack.refuseDatagram(datagram, 'prohibited', reactor.now)
    return undefined
  }

  admitsReply(protocol: DatagramProtocol, key: Int32Array, neighbour: Neighbour): boolean {
    if (this.isObserved) return true
    const { action, check } = this.#admit(this.#start(protocol, key, neighbour)).admission
    return action === 'allow' && check === 'none'
  }

  adopt(key: Int32Array): boolean {
    if (this.isObserved) return true
    const { action, check } = this.decider.admit(this.#destination('tcp', key), [])
    return action === 'allow' && check === 'none'
  }

  #start(protocol: Protocol, key: Int32Array, neighbour: Neighbour): FlowStart {
    const sender = senderOf(key, neighbour)
    const to = this.#destination(protocol, key)
    const { now } = this.host.reactor
    const names = this.leases.namesOf(sender.guest, addressKey(to.address.words), now)
    const start = { sender, to, shown: address.format(key.subarray(4, 8)), names }
    const { words } = to.address
    const madeUp = address.isMapped(words) ? this.madeUp.nameOf(sender.guest, words[3]!) : undefined
    return madeUp === undefined || names.length > 0 ? start : { ...start, madeUp }
  }

  #destination(protocol: Protocol, key: Int32Array): Destination {
    const port = protocol === 'icmp' ? 0 : key[8]! & 0xffff
    return { protocol, port, address: this.surroundings.judge(key.subarray(4, 8)) }
  }

  /** By the rules; else by names that the program has allowed. */
  #admit(start: FlowStart): { admission: Admission; hooked?: Decider | undefined } {
    const { sender, to, names, madeUp } = start
    if (madeUp !== undefined) return { admission: this.#admitMadeUp(to, madeUp) }
    const admission = this.decider.admit(to, names)
    if (admission.action === 'allow' || admission.rule !== undefined) return { admission }
    if (this.hooks === undefined || this.hooks.asked.flow) return { admission }
    const { now } = this.host.reactor
    const hookedNames = names.filter((name) => this.hookedNames.has(sender.guest, name, now))
    if (hookedNames.length === 0) return { admission }
    const hooked = hookedBy(hookedNames, 'tcp')
    return { admission: hooked.admit(to, hookedNames), hooked }
  }

  /** The address is nobody's: only what is denied by its name is. Where the name leads to is judged when that is known. */
  #admitMadeUp(to: Destination, name: string): Admission {
    const rule = this.#denyingRule(somewhere(to), name)
    return { action: 'deny', rule, check: 'none', rules: [] }
  }

  #pass(
    start: FlowStart,
    admission: Admission,
    hooked?: Decider,
    places?: readonly Place[],
  ): FlowPassage {
    const passage = new FlowPassage(this, start, admission, { hooked, places })
    this.counters.flowsAllowed++
    this.#passages.add(passage)
    if (admission.name !== undefined) {
      const key = addressKey(start.to.address.words)
      passage.lease = this.leases.use(start.sender.guest, admission.name, key)
    }
    // What has still to say its name is told of when it has. That nobody listens is said before a record is made.
    if (passage.inspector === undefined && this.listener !== undefined) {
      const by = hooked !== undefined ? 'hook' : admission.rule === undefined ? 'default' : 'rule'
      this.decided(passage.describe('allow', by))
    }
    return passage
  }

  /** What would be denied, and is not. */
  #passObserved(start: FlowStart, admission: Admission): FlowPassage {
    this.#deny(start, admission)
    const [name] = start.names
    const passage = new FlowPassage(this, start, { ...admission, name, check: 'none' })
    this.#passages.add(passage)
    return passage
  }

  #deny(start: FlowStart, { action, rule, check }: Admission): void {
    const { names } = start
    const by = action === 'allow' ? 'check' : rule === undefined ? 'default' : 'rule'
    const denied = describeStart(start, 'deny', by, rule)
    this.decided({
      ...denied,
      ...(names[0] !== undefined && { name: names[0] }),
      ...(action === 'allow' && { check, why: `no name is read from ${start.to.protocol}` }),
    })
  }

  // --- hooks ---

  /** May the program be asked about datagrams? Not where a name would have to be read, or looked up first. */
  #mayAsk({ to, names, madeUp }: FlowStart): boolean {
    if (!this.hooks?.asked.flow || madeUp !== undefined) return false
    const [name] = names
    return name === undefined || hookedBy([name], to.protocol).admit(to, [name]).check === 'none'
  }

  #ask(start: FlowStart, waiter?: (verdict: HookVerdict) => void): HookVerdict | undefined {
    const { sender, to, shown } = start
    const name = askedNameOf(start)
    const question = {
      kind: 'flow',
      guest: sender.address,
      ...(name === undefined ? { address: shown } : { name }),
      protocol: to.protocol,
      ...(to.protocol !== 'icmp' && { port: to.port }),
    } as const
    return this.hooks!.ask(questionKeyOf(start), question, this.host.reactor.now, waiter)
  }

  /** As the program is asked about it: names that rules deny are not what it is for. */
  #askable(start: FlowStart): FlowStart {
    const { to, names } = start
    return { ...start, names: names.filter((name) => this.#denyingRule(to, name) === undefined) }
  }

  #askAbout(given: FlowStart, request: SynRequest, dial: (passage: Passage) => void): void {
    const start = this.#askable(given)
    const decide = (verdict: HookVerdict): void => {
      request.onGivenUp = undefined
      // Rules come first, and may be others by now.
      const { admission, hooked } = this.#admit(start)
      if (admission.action === 'allow') return dial(this.#pass(start, admission, hooked))
      if (admission.rule !== undefined) this.#deny(start, admission)
      else if (verdict.action === 'allow') return this.#dialHooked(start, request, dial)
      else {
        const { why } = verdict
        this.decided({ ...this.#hookRecord(start, 'deny'), ...(why !== undefined && { why }) })
      }
      request.refuse()
    }
    request.onGivenUp = () => this.hooks!.leave(questionKeyOf(start), decide)
    const verdict = this.#ask(start, decide)
    if (verdict !== undefined) decide(verdict)
  }

  #hookRecord(start: FlowStart, verdict: 'allow' | 'deny'): Decided {
    const name = askedNameOf(start)
    return { ...describeStart(start, verdict, 'hook'), ...(name !== undefined && { name }) }
  }

  /** The program has allowed it. What has a made-up address is looked up first. */
  #dialHooked(start: FlowStart, request: SynRequest, dial: (passage: Passage) => void): void {
    const { sender, to, madeUp } = start
    if (madeUp === undefined) return dial(this.#passHooked(start))
    let isGivenUp = false
    request.onGivenUp = () => {
      isGivenUp = true
    }
    this.#names.resolve(request.key, sender, madeUp, (addresses) => {
      if (isGivenUp) return
      request.onGivenUp = undefined
      if (addresses.length === 0) return request.fail('host-unreachable', this.host.reactor.now)
      const places = addresses.map((words) => this.#placeOf(words, to))
      const open = places.filter((place) => this.#denyingRule(place.to, madeUp) === undefined)
      if (open.length > 0) return dial(this.#passHooked({ ...start, to: open[0]!.to }, open))
      const rule = this.#denyingRule(places[0]!.to, madeUp)
      this.decided({ ...describeStart(start, 'deny', 'rule', rule), name: madeUp })
      request.refuse()
    })
  }

  /** One of the addresses of the name that `to` was made up for. */
  #placeOf(words: Int32Array, { protocol, port }: Destination): Place {
    const to = { protocol, port, address: this.surroundings.judge(words) }
    return { endpoint: { words, port }, to }
  }

  #denyingRule(to: Destination, name: string): Rule | undefined {
    const { rule } = this.decider.match(to, name) ?? {}
    return rule?.action === 'deny' ? rule : undefined
  }

  #passHooked(start: FlowStart, places?: readonly Place[]): FlowPassage {
    const name = askedNameOf(start)
    if (name === undefined) {
      const allowed = { action: 'allow', check: 'none', rules: [] } as const
      return this.#pass(start, allowed, hookedBy([], start.to.protocol), places)
    }
    const hooked = hookedBy([name], start.to.protocol)
    // The name is what was asked about.
    const admission = hooked.admit(somewhere(start.to), [name])
    return this.#pass(start, admission, hooked, places)
  }

  // --- DNS ---

  openDns(request: SynRequest): void {
    this.#names.open(request)
  }

  receiveQuestion(datagram: Datagram): void {
    this.#names.receive(datagram)
  }

  // --- passages ---

  decided(decided: Decided): void {
    if (decided.verdict === 'deny') {
      if (decided.kind === 'question') this.counters.questionsDenied++
      else if (decided.kind === 'flow') this.counters.flowsDenied++
    } else if (decided.kind === 'question') this.counters.questionsAllowed++
    if (this.listener === undefined) return
    const isObserved = this.isObserved && decided.verdict === 'deny'
    const time = performance.timeOrigin + this.host.reactor.now
    this.listener(isObserved ? { ...decided, isObserved } : decided, time)
  }

  reading(passage: FlowPassage): void {
    passage.deadline = this.host.reactor.now + READING_TIME
    this.#reading.update(passage)
  }

  ended(passage: FlowPassage, octetsFromGuest: number, octetsToGuest: number): void {
    this.#passages.delete(passage)
    this.#reading.remove(passage)
    if (this.listener === undefined) return
    const begun = passage.describe('allow', 'rule')
    this.decided({ ...begun, kind: 'flow-end', octetsFromGuest, octetsToGuest })
  }

  deadline(): number {
    const questions = this.hooks?.deadline() ?? Infinity
    return Math.min(this.#reading.next(), questions, this.#names.deadline())
  }

  timeout(now: number): void {
    this.hooks?.timeout(now)
    this.#names.timeout(now)
    for (;;) {
      const passage = this.#reading.pop(now)
      if (passage === undefined) return
      const denied = passage.describe('deny', 'check')
      this.decided({ ...denied, why: 'it does not say its name' })
      if (!this.isObserved) passage.revoke?.()
    }
  }

  destroy(): void {
    this.hooks?.destroy()
    this.#names.destroy()
  }
}

const DENIED: HookVerdict = { action: 'deny', for: 'flow' }

/** Some address of the Internet. */
const somewhere = (to: Destination): Destination => ({
  ...to,
  address: { ...to.address, isHost: false, isPrivate: false, isGateway: false },
})

/** The name that a flow is for, as far as the program is concerned. */
const askedNameOf = ({ names, madeUp }: FlowStart): string | undefined => names[0] ?? madeUp

/** What one question is about. */
function questionKeyOf(start: FlowStart): string {
  const { sender, to, shown } = start
  return `${sender.guest} ${askedNameOf(start) ?? shown} ${to.protocol} ${to.port}`
}
