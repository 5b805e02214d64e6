/**
 * What a policy is: rules about where a container may go, in order, the first that matches decides.
 *
 * A {@link PolicyInput} is what people write, as a value or as JSON. A {@link Policy} is the same, checked and with
 * nothing left out; it is plain data, can be posted to a thread, and is an input as well.
 */

export type Action = 'allow' | 'deny'

/** What a flow is. ICMP is echo: what ping(8) sends. */
export type Protocol = 'tcp' | 'udp' | 'icmp'

/** How the name that a flow is for is learnt, once it is connected and before an octet of the container is sent. */
export type Check =
  /** From the ClientHello: its server_name must be a name that the rule allows. */
  | 'tls'
  /** From the head of each request: its Host must be one. */
  | 'http'
  /** It is not: that the address was given for the name is enough. */
  | 'none'

export interface RuleInput {
  /** Shown in records; another for each rule. Default: what the rule says. */
  readonly id?: string | undefined
  readonly action: Action
  /** Names of hosts: `'registry.npmjs.org'`; `'*.example.com'` is any name that ends so, not example.com itself. */
  readonly name?: string | readonly string[] | undefined
  /**
   * Addresses: `'192.0.2.0/24'`, `'2001:db8::1'`, `'host'` (what leads to the host itself), `'private'` (what is no address
   * of the Internet). With a name, those of its addresses that it is about.
   */
  readonly to?: string | readonly string[] | undefined
  /** `443`, `'8000-8999'`, or several of them. Default: all. */
  readonly port?: number | string | readonly (number | string)[] | undefined
  /** Default: `'tcp'` where it allows, `'any'` where it denies. */
  readonly protocol?: Protocol | 'any' | undefined
  /** Default: `'tls'` at ports 443, 853, 8443, `'http'` at 80 and 8080, else `'none'`. Only with a name. */
  readonly check?: Check | undefined
  /** With `'any'` a ClientHello without a name passes as well. */
  readonly sni?: 'required' | 'any' | undefined
  /** With `'deny'` a ClientHello that has the extension for encrypted ones does not pass. Browsers always send it. */
  readonly ech?: 'allow' | 'deny' | undefined
  /** The name may have private addresses, and the host's. Default: false: they are taken out of answers. */
  readonly private?: boolean | undefined
  /** `*.` may stand before a suffix under which anybody can have a name, such as com. Default: false. */
  readonly wide?: boolean | undefined
  /** For people. */
  readonly why?: string | undefined
}

export interface Rule {
  readonly id: string
  readonly action: Action
  /** Absent: it is about addresses only. */
  readonly name?: readonly string[]
  /** Absent: all. */
  readonly to?: readonly string[]
  /** Absent: all. */
  readonly port?: readonly (number | string)[]
  readonly protocol: Protocol | 'any'
  /** Absent: by the port. */
  readonly check?: Check
  readonly sni: 'required' | 'any'
  readonly ech: 'allow' | 'deny'
  readonly private: boolean
  readonly wide: boolean
  readonly why?: string
}

export interface DnsInput {
  /** What a name that is not allowed is answered with. Default: `'nxdomain'`; musl waits out its time-out on the other. */
  readonly denied?: 'nxdomain' | 'refused' | undefined
  /** Octets of the longest label that may stand in place of a `*`. Default: 40. */
  readonly maxLabel?: number | undefined
  /** Names under one `*` that a container may ask for in a minute for the first time. Default: 60. */
  readonly maxNames?: number | undefined
}

export interface PolicyInput {
  readonly $schema?: string | undefined
  /** What happens to that which no rule is about. Default: `'deny'`. */
  readonly default?: Action | undefined
  /** `'observe'` denies nothing and records what would be denied. Default: `'enforce'`. */
  readonly mode?: 'enforce' | 'observe' | undefined
  readonly rules?: readonly RuleInput[] | undefined
  /** In seconds: how long an address that was an answer may be gone to, at least. Default: 600. */
  readonly leaseMin?: number | undefined
  /** The prefix by which the host's network reaches IPv4 over IPv6 (NAT64), where it is not 64:ff9b::/96. */
  readonly nat64?: string | undefined
  readonly dns?: DnsInput | undefined
}

export interface Policy {
  readonly default: Action
  readonly mode: 'enforce' | 'observe'
  readonly rules: readonly Rule[]
  readonly leaseMin: number
  readonly nat64?: string
  readonly dns: {
    readonly denied: 'nxdomain' | 'refused'
    readonly maxLabel: number
    readonly maxNames: number
  }
}

/** The ports at which a rule with a name looks for it, unless it says something else. */
export const TLS_PORTS: readonly number[] = [443, 853, 8443]
export const HTTP_PORTS: readonly number[] = [80, 8080]

/** How a rule learns the name of a flow to `port`. */
export function checkAt({ name, action, check }: Rule, port: number): Check {
  if (name === undefined || action === 'deny') return 'none'
  return check ?? checkAtPort(port)
}

/** How a name is looked for at a port where nobody has said it. */
export function checkAtPort(port: number): Check {
  if (TLS_PORTS.includes(port)) return 'tls'
  return HTTP_PORTS.includes(port) ? 'http' : 'none'
}

/** Is there a port of the rule at which it learns the name so? */
export function hasCheck(rule: Rule, check: Check): boolean {
  return portRanges(rule).some(
    ([first, last]) => checkAt(rule, first) === check || countChecked(rule, check, first, last) > 0,
  )
}

/** Is there no port of the rule at which the name is not looked for? */
export function isCheckedEverywhere(rule: Rule): boolean {
  if (rule.check !== undefined) return rule.check !== 'none'
  return portRanges(rule).every(([first, last]) => {
    const checked = countChecked(rule, 'tls', first, last) + countChecked(rule, 'http', first, last)
    return checked === last - first + 1
  })
}

const countChecked = (rule: Rule, check: Check, first: number, last: number): number =>
  [...TLS_PORTS, ...HTTP_PORTS].filter(
    (port) => port >= first && port <= last && checkAt(rule, port) === check,
  ).length

/** The protocols that a rule is about. */
export function protocolsOf({ protocol, port }: Rule): readonly Protocol[] {
  if (protocol !== 'any') return [protocol]
  return port === undefined ? ['tcp', 'udp', 'icmp'] : ['tcp', 'udp']
}

export type PortRange = readonly [first: number, last: number]

/** The ports that a rule is about, as ranges with both ends in them. Port 0 is none; ICMP has no other. */
export function portRanges({ port }: Rule): readonly PortRange[] {
  if (port === undefined) return [[1, 65535]]
  return port.map((entry) => {
    const [first, last = first] = `${entry}`.split('-').map(Number)
    return [first!, last!]
  })
}

/** What a rule says, as the id of one that has none. */
export function describeRule(rule: Omit<Rule, 'id'>): string {
  const { action, name = [], to = [], port, protocol } = rule
  const names = name.join(', ')
  const addresses = to.join(', ')
  const isBoth = names !== '' && addresses !== ''
  const where = isBoth ? `${names} to ${addresses}` : names || addresses || 'all'
  const ports = port === undefined ? '' : ` port ${port.join(', ')}`
  const more = [
    ...(rule.private ? ['private'] : []),
    ...(rule.check === undefined ? [] : [`check ${rule.check}`]),
    ...(rule.sni === 'any' ? ['sni any'] : []),
    ...(rule.ech === 'deny' ? ['ech deny'] : []),
  ]
  return [`${action} ${where}${ports} ${protocol}`, ...more].join(' ')
}
