/**
 * The rules of a policy, made ready to be asked for each flow and each question: the first that matches decides.
 *
 * What a flow is for is not known when it is opened: its address may have been the answer for several names. So each of
 * these is tried, and what would let the flow pass is kept (`admit`); the name is judged when it is read (`admitName`).
 *
 * A thousand rules cost as much as a few: rules with names are found by the name, those with prefixes by the prefixes
 * of the address.
 */
import {
  type AddressTest,
  addressKey,
  addressTest,
  type JudgedAddress,
  passes,
} from './addresses.ts'
import { basesOf } from './names.ts'
import {
  type Action,
  type Check,
  checkAt,
  checkAtPort,
  type Policy,
  type PortRange,
  type Protocol,
  portRanges,
  protocolsOf,
  type Rule,
} from './policy.ts'
import { masked } from './prefixes.ts'

/** A rule in its place. */
export interface PlacedRule {
  readonly index: number
  readonly rule: Rule
  readonly ports: readonly PortRange[]
  readonly protocols: readonly Protocol[]
  readonly addresses: AddressTest
}

/** Why a flow may pass, or why it may not. */
export interface Admission {
  readonly action: 'allow' | 'deny'
  /** Absent: the default. */
  readonly rule?: Rule | undefined
  /** The name that the container has the address for. */
  readonly name?: string | undefined
  /** What must be read before an octet of the container is sent. */
  readonly check: Check
  /** With a check: the rules of which the name has to be. */
  readonly rules: readonly PlacedRule[]
}

/** A flow as it is opened. */
export interface Destination {
  readonly protocol: Protocol
  readonly address: JudgedAddress
  /** Of ICMP: 0. */
  readonly port: number
}

/** Ours: names whose rules are remembered. */
const MAX_REMEMBERED = 4096

export class Decider {
  readonly policy: Policy
  /** All of them. */
  readonly rules: readonly PlacedRule[]
  readonly #byName = new Map<string, PlacedRule[]>()
  readonly #byBase = new Map<string, PlacedRule[]>()
  readonly #nameless: NamelessRules
  readonly #remembered = new Map<string, readonly PlacedRule[]>()

  constructor(policy: Policy) {
    this.policy = policy
    this.rules = policy.rules.map((rule, index) => ({
      index,
      rule,
      ports: portRanges(rule),
      protocols: protocolsOf(rule),
      addresses: addressTest(rule),
    }))
    for (const placed of this.rules) {
      const { rule } = placed
      for (const pattern of rule.name ?? []) {
        if (pattern.startsWith('*.')) addTo(this.#byBase, pattern.slice(2), placed)
        else addTo(this.#byName, pattern, placed)
      }
    }
    this.#nameless = new NamelessRules(this.rules.filter(({ rule }) => rule.name === undefined))
  }

  /**
   * May the flow be dialled, when the container has its address for these names? For each the first rule that matches decides; so
   * what goes by no name, or by the default, does not go where a name leads that is denied, unless it can say another one.
   */
  admit(to: Destination, names: readonly string[]): Admission {
    const nameless = this.match(to, undefined)
    const base = nameless?.rule.action ?? this.policy.default
    const rules: PlacedRule[] = []
    let first: { rule: Rule; name: string; check: Check } | undefined
    let denying: Rule | undefined
    /** The first that no rule with names is about. */
    let unlisted: string | undefined
    for (const name of names) {
      const placed = this.match(to, name)
      if (placed?.rule.action === 'deny') {
        denying ??= placed.rule
        continue
      }
      if (placed?.rule.name === undefined) {
        unlisted ??= name
        continue
      }
      const check = checkAt(placed.rule, to.port)
      if (check === 'none') return allowed(placed.rule, name)
      first ??= { rule: placed.rule, name, check }
      if (!rules.includes(placed)) rules.push(placed)
    }
    if (base === 'allow' && denying === undefined) {
      if (nameless !== undefined) return allowed(nameless.rule, names[0])
      if (first === undefined || unlisted !== undefined) return allowed(undefined, unlisted)
    }
    if (first !== undefined) return { action: 'allow', ...first, rules }
    if (base === 'allow' && unlisted !== undefined && to.protocol === 'tcp') {
      const check = checkAtPort(to.port)
      const rule = nameless?.rule
      if (check !== 'none') return { action: 'allow', rule, name: unlisted, check, rules }
    }
    const isUndecided = base === 'deny' && unlisted !== undefined
    return denied(isUndecided ? undefined : (denying ?? nameless?.rule))
  }

  /** What is said of a flow that is for no name. */
  #base(to: Destination): Action {
    return this.match(to, undefined)?.rule.action ?? this.policy.default
  }

  /** The flow was admitted, and this is its name: is it one that lets it pass? */
  admitName(to: Destination, { rules }: Admission, name: string): Admission {
    const placed = this.match(to, name)
    if (placed?.rule.action === 'deny') return { ...denied(placed.rule), name }
    const isRuled =
      placed !== undefined && (placed.rule.name === undefined || rules.includes(placed))
    if (isRuled || this.#base(to) === 'allow') return allowed(placed?.rule, name)
    return { ...denied(undefined), name }
  }

  /**
   * May the container ask for the name? What a rule says of ports and addresses is for flows: a name is denied when
   * nothing of it is left. Rules without names are not about names.
   */
  admitQuestion(name: string): { readonly action: 'allow' | 'deny'; readonly rule?: Rule } {
    for (const { rule } of this.rulesOf(name)) {
      if (rule.action === 'allow') return { action: 'allow', rule }
      if (isWhole(rule)) return { action: 'deny', rule }
    }
    return { action: this.policy.default }
  }

  /**
   * The rule by which nothing that was asked for as `origin` may lead to `target`: it denies some of the target that would be
   * allowed by way of the origin. A rule about some of its addresses only is left to these.
   */
  denyingTarget(origin: string, target: string): Rule | undefined {
    const [ofOrigin, ofTarget] = [this.rulesOf(origin), this.rulesOf(target)]
    const isOpen = ofOrigin.length === 0 || this.policy.default === 'allow'
    const edges = [...ofOrigin, ...ofTarget].flatMap(({ ports }) =>
      ports.flatMap(([first, last]) => [first, last + 1]),
    )
    const first = (rules: readonly PlacedRule[], protocol: Protocol, port: number) =>
      rules.find((placed) => isAbout(placed, protocol, port))
    for (const placed of ofTarget) {
      const { rule, protocols, ports } = placed
      if (rule.action === 'allow' || rule.to !== undefined) continue
      // Between two edges all ports are alike.
      const asked = edges.filter((port) => isIn(ports, port))
      for (const protocol of protocols) {
        for (const port of asked) {
          if (first(ofTarget, protocol, port) !== placed) continue
          const by = first(ofOrigin, protocol, port)?.rule
          if (by === undefined ? isOpen : by.action === 'allow') return rule
        }
      }
    }
    return undefined
  }

  /** May an address that is an answer for the name be gone to for its sake? */
  admitAnswer(name: string, address: JudgedAddress): boolean {
    let isNamed = false
    for (const { rule, addresses } of this.rulesOf(name)) {
      if (rule.action === 'deny') {
        if (isWhole(rule)) break
        continue
      }
      if (passes(addresses, address)) return true
      isNamed = true
    }
    return !isNamed && this.policy.default === 'allow'
  }

  /** May the container send UDP to that port of the name, whatever address that has? */
  admitsUdp(name: string, port: number): boolean {
    for (const { rule, protocols, ports } of this.rulesOf(name)) {
      if (!protocols.includes('udp') || !isIn(ports, port)) continue
      if (rule.action === 'deny' && rule.to !== undefined) continue
      return rule.action === 'allow' && checkAt(rule, port) === 'none'
    }
    return this.policy.default === 'allow'
  }

  /** Is the name of a connection to that port read, whatever address it has? */
  readsName(name: string, port: number): boolean {
    const placed = this.rulesOf(name).find((each) => isAbout(each, 'tcp', port))
    return placed !== undefined && checkAt(placed.rule, port) !== 'none'
  }

  /** The first rule about a flow that is for `name`, or for no name. */
  match(to: Destination, name: string | undefined): PlacedRule | undefined {
    const named = name === undefined ? [] : this.rulesOf(name)
    const nameless = this.#nameless.find(to.address)
    for (let i = 0, j = 0; i < named.length || j < nameless.length; ) {
      const isNamed =
        j >= nameless.length || (i < named.length && named[i]!.index < nameless[j]!.index)
      const placed = isNamed ? named[i++]! : nameless[j++]!
      if (mismatch(placed, to) === undefined) return placed
    }
    return undefined
  }

  /** All rules that have this name, in their order. */
  rulesOf(name: string): readonly PlacedRule[] {
    const known = this.#remembered.get(name)
    if (known !== undefined) return known
    const found = [...(this.#byName.get(name) ?? [])]
    for (const base of basesOf(name)) found.push(...(this.#byBase.get(base) ?? []))
    const rules = [...new Set(found)].toSorted(byIndex)
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear()
    this.#remembered.set(name, rules)
    return rules
  }
}

/** What of a flow the rule is not about; undefined: it is about the flow, as far as names go. */
export function mismatch(
  { protocols, ports, addresses }: PlacedRule,
  { protocol, port, address }: Destination,
): 'protocol' | 'port' | 'address' | undefined {
  if (!protocols.includes(protocol)) return 'protocol'
  if (protocol !== 'icmp' && !isIn(ports, port)) return 'port'
  return passes(addresses, address) ? undefined : 'address'
}

const isIn = (ranges: readonly PortRange[], port: number): boolean =>
  ranges.some(([first, last]) => port >= first && port <= last)

/** Is the rule about that port, whatever the address is? */
const isAbout = ({ rule, protocols, ports }: PlacedRule, protocol: Protocol, port: number) =>
  protocols.includes(protocol) &&
  (protocol === 'icmp' || isIn(ports, port)) &&
  !(rule.action === 'deny' && rule.to !== undefined)

/** Is the rule about all that a name can be used for? */
const isWhole = ({ to, port, protocol }: Rule): boolean =>
  to === undefined && port === undefined && protocol === 'any'

const byIndex = (a: PlacedRule, b: PlacedRule): number => a.index - b.index

const allowed = (rule: Rule | undefined, name: string | undefined): Admission => ({
  action: 'allow',
  rule,
  name,
  check: 'none',
  rules: [],
})

const denied = (rule: Rule | undefined): Admission => ({
  action: 'deny',
  rule,
  check: 'none',
  rules: [],
})

function addTo<K>(map: Map<K, PlacedRule[]>, key: K, placed: PlacedRule): void {
  const found = map.get(key)
  if (found === undefined) map.set(key, [placed])
  else found.push(placed)
}

/** Rules without names, found by address. */
class NamelessRules {
  /** Those that are about a prefix: by its length, then by its bits. */
  readonly #byPrefix = new Map<number, Map<number | string, PlacedRule[]>>()
  /** Those that have to be asked. */
  readonly #others: PlacedRule[] = []

  constructor(rules: readonly PlacedRule[]) {
    for (const placed of rules) {
      const { prefixes, hasHost, hasPrivate } = placed.addresses
      if (prefixes === undefined || hasHost || hasPrivate) this.#others.push(placed)
      else {
        for (const { prefix } of prefixes) {
          const { words, length } = prefix
          const byBits = this.#byPrefix.get(length) ?? new Map<number | string, PlacedRule[]>()
          this.#byPrefix.set(length, byBits)
          addTo(byBits, addressKey(words), placed)
        }
      }
    }
  }

  /** Those that may be about the address, in their order. */
  find({ words }: JudgedAddress): readonly PlacedRule[] {
    if (this.#byPrefix.size === 0) return this.#others
    const found = new Set(this.#others)
    for (const [length, byBits] of this.#byPrefix) {
      for (const placed of byBits.get(addressKey(masked(words, length))) ?? []) found.add(placed)
    }
    return found.size === this.#others.length ? this.#others : [...found].toSorted(byIndex)
  }
}
