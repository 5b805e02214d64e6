/**
 * From what people write to a {@link Policy}: everything is checked, and all mistakes are told at once, by where they
 * stand.
 */
import { getPublicSuffix } from 'tldts'
import type { Path } from './json.ts'
import { readPattern } from './names.ts'
import { describeRule, hasCheck, isCheckedEverywhere, type Policy, type Rule } from './policy.ts'
import { formatPrefix, NAT64_LENGTHS, readPrefix } from './prefixes.ts'
import { findShadowed } from './shadow.ts'

/** One mistake. */
export interface Mistake {
  readonly path: Path
  /** It is the name of the member at `path` that is wrong, not its value. */
  readonly isName: boolean
  readonly message: string
}

/** Ours: more rules are a mistake of whatever makes them. */
const MAX_RULES = 10_000
const MAX_ID = 200
const MAX_WHY = 1000

const POLICY_KEYS = ['$schema', 'default', 'mode', 'rules', 'leaseMin', 'nat64', 'dns'] as const
const DNS_KEYS = ['denied', 'maxLabel', 'maxNames'] as const
const RULE_KEYS = [
  'id',
  'action',
  'name',
  'to',
  'port',
  'protocol',
  'check',
  'sni',
  'ech',
  'private',
  'wide',
  'why',
] as const

/** What members there may be: for the schema's test. */
export const KEYS: Readonly<Record<'policy' | 'dns' | 'rule', readonly string[]>> = {
  policy: POLICY_KEYS,
  dns: DNS_KEYS,
  rule: RULE_KEYS,
}

type Fields = Readonly<Record<string, unknown>>

/** The policy of a value; undefined when there are mistakes, which are added to `mistakes`. */
export function readPolicy(given: unknown, mistakes: Mistake[]): Policy | undefined {
  const reader = new Reader(mistakes)
  const policy = reader.readPolicy(given)
  return mistakes.length === 0 ? policy : undefined
}

class Reader {
  readonly #mistakes: Mistake[]

  constructor(mistakes: Mistake[]) {
    this.#mistakes = mistakes
  }

  readPolicy(given: unknown): Policy | undefined {
    const fields = this.#object(given, [], POLICY_KEYS)
    if (fields === undefined) return undefined
    this.#optional(fields, [], '$schema', 'a text', (value) => typeof value === 'string')
    const nat64 = this.#readNat64(fields.nat64)
    const policy: Policy = {
      default: this.#choice(fields, [], 'default', ['allow', 'deny'], 'deny'),
      mode: this.#choice(fields, [], 'mode', ['enforce', 'observe'], 'enforce'),
      rules: this.#readRules(fields.rules ?? []),
      leaseMin: this.#integer(fields, [], 'leaseMin', 1, 86_400, 600),
      ...(nat64 !== undefined && { nat64 }),
      dns: this.#readDns(fields.dns ?? {}),
    }
    if (this.#mistakes.length === 0) this.#checkTogether(policy.rules)
    return policy
  }

  #readDns(given: unknown): Policy['dns'] {
    const path = ['dns']
    const fields = this.#object(given, path, DNS_KEYS) ?? {}
    return {
      denied: this.#choice(fields, path, 'denied', ['nxdomain', 'refused'], 'nxdomain'),
      maxLabel: this.#integer(fields, path, 'maxLabel', 1, 63, 40),
      maxNames: this.#integer(fields, path, 'maxNames', 1, 1_000_000, 60),
    }
  }

  #readNat64(given: unknown): string | undefined {
    if (given === undefined) return undefined
    const prefix = typeof given === 'string' ? readPrefix(given) : { problem: 'it is no text' }
    if ('problem' in prefix) return this.#add(['nat64'], `not a prefix: ${prefix.problem}`)
    if (!prefix.isIpv6 || !NAT64_LENGTHS.includes(prefix.length)) {
      const lengths = NAT64_LENGTHS.join(', ')
      return this.#add(['nat64'], `must be of IPv6 and have a length of ${lengths} (RFC 6052)`)
    }
    return formatPrefix(prefix)
  }

  #readRules(given: unknown): Rule[] {
    if (!Array.isArray(given)) {
      this.#add(['rules'], `must be a list, not ${show(given)}`)
      return []
    }
    if (given.length > MAX_RULES) this.#add(['rules'], `more than ${MAX_RULES} rules`)
    const rules: Rule[] = []
    for (const [i, rule] of given.slice(0, MAX_RULES).entries()) {
      const read = this.#readRule(rule, ['rules', i])
      if (read !== undefined) rules.push(read)
    }
    return rules
  }

  #readRule(given: unknown, path: Path): Rule | undefined {
    const fields = this.#object(given, path, RULE_KEYS)
    if (fields === undefined) return undefined
    if (fields.action === undefined) this.#add(path, 'has no "action": allow or deny')
    const action = this.#choice(fields, path, 'action', ['allow', 'deny'], 'deny')
    const byDefault = action === 'allow' ? 'tcp' : 'any'
    const read: Omit<Rule, 'id'> = {
      action,
      ...(fields.name !== undefined && { name: this.#readNames(fields, path) }),
      ...(fields.to !== undefined && { to: this.#readAddresses(fields, path) }),
      ...(fields.port !== undefined && { port: this.#readPorts(fields, path) }),
      protocol: this.#choice(fields, path, 'protocol', ['tcp', 'udp', 'icmp', 'any'], byDefault),
      ...(fields.check !== undefined && {
        check: this.#choice(fields, path, 'check', ['tls', 'http', 'none'], 'none'),
      }),
      sni: this.#choice(fields, path, 'sni', ['required', 'any'], 'required'),
      ech: this.#choice(fields, path, 'ech', ['allow', 'deny'], 'allow'),
      private: this.#boolean(fields, path, 'private'),
      wide: this.#boolean(fields, path, 'wide'),
      ...(fields.why !== undefined && { why: this.#text(fields, path, 'why', MAX_WHY) }),
    }
    const id = fields.id === undefined ? describeRule(read) : this.#text(fields, path, 'id', MAX_ID)
    const rule = { id, ...read }
    this.#checkRule(rule, path)
    return rule
  }

  #readNames(fields: Fields, path: Path): string[] {
    const names: string[] = []
    for (const [given, at] of this.#list(fields, path, 'name')) {
      if (typeof given !== 'string') {
        this.#add(at, `must be a name, not ${show(given)}`)
        continue
      }
      const read = readPattern(given)
      if ('problem' in read) this.#add(at, `${show(given)} can never match: ${read.problem}`)
      else {
        if (fields.wide !== true) this.#checkWidth(read.name, at)
        names.push(read.name)
      }
    }
    return names
  }

  /** Under a public suffix anybody can have a name: who writes `*.com` rarely wants that. */
  #checkWidth(pattern: string, at: Path): void {
    if (!pattern.startsWith('*.')) return
    const base = pattern.slice(2)
    if (getPublicSuffix(base, { allowPrivateDomains: true }) !== base) return
    this.#add(
      at,
      `"${pattern}" is whoever has a name under ${base}; say "wide": true if that is meant`,
    )
  }

  #readAddresses(fields: Fields, path: Path): string[] {
    const addresses: string[] = []
    for (const [given, at] of this.#list(fields, path, 'to')) {
      if (given === 'host' || given === 'private') {
        addresses.push(given)
        continue
      }
      const prefix = typeof given === 'string' ? readPrefix(given) : { problem: 'it is no text' }
      if ('problem' in prefix) this.#add(at, `${show(given)} is no address: ${prefix.problem}`)
      else addresses.push(formatPrefix(prefix))
    }
    return addresses
  }

  #readPorts(fields: Fields, path: Path): (number | string)[] {
    const ports: (number | string)[] = []
    for (const [given, at] of this.#list(fields, path, 'port')) {
      const port = readPort(given)
      if (port !== undefined) ports.push(port)
      else this.#add(at, `must be 1 to 65535, or a range such as "8000-8999", not ${show(given)}`)
    }
    return ports
  }

  /** What does not go together in one rule. */
  #checkRule(rule: Rule, path: Path): void {
    const { name, port, protocol, action, check, sni, ech } = rule
    const wrong = (key: string, message: string): void => this.#add([...path, key], message)
    if (port !== undefined && protocol === 'icmp') wrong('port', 'ICMP has no ports')
    if (name === undefined) {
      if (rule.private) wrong('private', 'goes with a name: without one, addresses are as they are')
      if (rule.wide) wrong('wide', 'goes with a name')
      if (check !== undefined && check !== 'none') wrong('check', 'goes with a name')
    } else if (action === 'deny') {
      if (check !== undefined) wrong('check', 'is for rules that allow')
      if (rule.private) wrong('private', 'is for rules that allow')
    }
    const isTls = hasCheck(rule, 'tls')
    if (sni === 'any' && !isTls) wrong('sni', 'goes with "check": "tls"')
    if (ech === 'deny' && !isTls) wrong('ech', 'goes with "check": "tls"')
    const isRead = name !== undefined && action === 'allow'
    if (protocol === 'udp' && isRead && isCheckedEverywhere(rule)) {
      const hint = 'say "check": "none" to allow it all the same'
      wrong('protocol', `can never match: no name is read from UDP; ${hint}`)
    }
  }

  /** What does not go together in one policy. */
  #checkTogether(rules: readonly Rule[]): void {
    const first = new Map<string, number>()
    for (const [i, { id }] of rules.entries()) {
      const earlier = first.get(id)
      if (earlier === undefined) first.set(id, i)
      else this.#add(['rules', i, 'id'], `rules[${earlier}] has the id ${show(id)}, too`)
    }
    for (const { index, by } of findShadowed(rules)) {
      const others = by.map((earlier) => show(rules[earlier]!.id)).join(', ')
      this.#add(['rules', index], `can never match: all of it is covered by ${others} before it`)
    }
  }

  // --- members ---

  #object(given: unknown, path: Path, keys: readonly string[]): Fields | undefined {
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      return this.#add(path, `must be an object, not ${show(given)}`)
    }
    for (const key of Object.keys(given)) {
      if (keys.includes(key)) continue
      const close = keys.find((known) => isClose(known, key))
      const hint = close === undefined ? '' : `; "${close}" is meant?`
      this.#mistakes.push({ path: [...path, key], isName: true, message: `is not known${hint}` })
    }
    return given as Fields
  }

  /** The elements of a list, or the one value in place of a list, each with its path. */
  #list(fields: Fields, path: Path, key: string): [unknown, Path][] {
    const given = fields[key]
    if (given === undefined) return []
    if (!Array.isArray(given)) return [[given, [...path, key]]]
    if (given.length === 0) this.#add([...path, key], 'must not be an empty list: leave it out')
    return given.map((element, i) => [element, [...path, key, i]])
  }

  #choice<Choice extends string>(
    fields: Fields,
    path: Path,
    key: string,
    choices: readonly Choice[],
    byDefault: Choice,
  ): Choice {
    const given = fields[key]
    if (given === undefined) return byDefault
    const choice = choices.find((each) => each === given)
    if (choice !== undefined) return choice
    const all = choices.map((each) => `"${each}"`)
    this.#add([...path, key], `must be ${all.join(' or ')}, not ${show(given)}`)
    return byDefault
  }

  #integer(
    fields: Fields,
    path: Path,
    key: string,
    least: number,
    most: number,
    byDefault: number,
  ): number {
    const wanted = `an integer from ${least} to ${most}`
    const isOne = (value: unknown): boolean =>
      Number.isInteger(value) && (value as number) >= least && (value as number) <= most
    return this.#optional(fields, path, key, wanted, isOne) ? (fields[key] as number) : byDefault
  }

  #boolean(fields: Fields, path: Path, key: string): boolean {
    const isOne = (value: unknown): boolean => typeof value === 'boolean'
    return this.#optional(fields, path, key, 'true or false', isOne) && (fields[key] as boolean)
  }

  #text(fields: Fields, path: Path, key: string, most: number): string {
    const wanted = `a text of 1 to ${most} characters in one line`
    const isOne = (value: unknown): boolean =>
      typeof value === 'string' && value.length <= most && /^\P{C}+$/u.test(value)
    return this.#optional(fields, path, key, wanted, isOne) ? (fields[key] as string) : '?'
  }

  /** Is there a value, and a right one? */
  #optional(
    fields: Fields,
    path: Path,
    key: string,
    wanted: string,
    isRight: (value: unknown) => boolean,
  ): boolean {
    const given = fields[key]
    if (given === undefined) return false
    if (isRight(given)) return true
    this.#add([...path, key], `must be ${wanted}, not ${show(given)}`)
    return false
  }

  #add(path: Path, message: string): undefined {
    this.#mistakes.push({ path, isName: false, message })
  }
}

/** A port, or a range of them; undefined when it is neither. */
function readPort(given: unknown): number | string | undefined {
  const [, low = '', high = low] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(`${given}`) ?? []
  const isText = typeof given === 'string'
  if (!isText && !(typeof given === 'number' && Number.isInteger(given))) return undefined
  const first = Number(low)
  const last = Number(high)
  if (low === '' || first < 1 || last > 65535 || first > last) return undefined
  return first === last ? first : `${first}-${last}`
}

/** The same letters, or one more, less or other; of either case. */
function isClose(known: string, given: string): boolean {
  const [a, b] = [known.toLowerCase(), given.toLowerCase()]
  if ([...a].toSorted().join('') === [...b].toSorted().join('')) return true
  let start = 0
  while (start < a.length && a[start] === b[start]) start++
  const [rest, other] = [a.slice(start), b.slice(start)]
  return [rest.slice(1), rest].includes(other.slice(1)) || rest.slice(1) === other
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 100))
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}
