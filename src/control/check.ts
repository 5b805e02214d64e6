/**
 * `slipway check POLICY [--connect=HOST:PORT]`: is the policy one, and what does it say of a flow?
 *
 * Exit status: 0, it is one, and allows the flow; 1, it denies it; 2, it is none, or the command line is wrong.
 */

import { isIP } from 'node:net'
import { parseArgs } from 'node:util'
import { type Simulation, simulate } from '../policy/simulate.ts'
import { readPolicyFile } from './egress.ts'
import { say } from './host.ts'

const USAGE = (program: string) => `Usage: ${program} check POLICY [--connect=HOST:PORT [OPTION]...]
Checks a policy file, and what it says of a connection.

--connect=HOST:PORT  a name or an address, and a port
--to=ADDRESS         the address that the name has (default: one that its rule allows)
--sni=NAME           the name that the connection says, if that is another ('' for none)
--protocol=PROTOCOL  tcp, udp or icmp (default=tcp)
--explain            tell of each rule before the one that decides
`

const OPTIONS = {
  connect: { type: 'string' },
  to: { type: 'string' },
  sni: { type: 'string' },
  protocol: { type: 'string' },
  explain: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

const PROTOCOLS = ['tcp', 'udp', 'icmp'] as const

export function check(words: readonly string[], program: string): number {
  try {
    return checkWords(words, program)
  } catch (error) {
    say(2, `${(error as Error).message}\n`)
    return 2
  }
}

function checkWords(words: readonly string[], program: string): number {
  const { values, positionals } = parseArgs({
    args: [...words],
    options: OPTIONS,
    allowPositionals: true,
  })
  const [file, ...more] = positionals
  if (values.help || file === undefined || more.length > 0) {
    say(values.help ? 1 : 2, USAGE(program))
    return values.help ? 0 : 2
  }
  const policy = readPolicyFile(file)
  if (values.connect === undefined) {
    const { rules, default: action } = policy
    say(1, `${file}: a policy of ${rules.length} rules, and the default is to ${action}\n`)
    return 0
  }
  const protocol = PROTOCOLS.find((each) => each === (values.protocol ?? 'tcp'))
  if (protocol === undefined) throw new TypeError(`--protocol must be ${PROTOCOLS.join(', ')}`)
  const { host, port } = readPlace(values.connect, protocol === 'icmp')
  const isAddress = isIP(host) > 0
  const { to, sni } = values
  const result = simulate(policy, {
    ...(isAddress ? { address: host } : { name: host, ...(to !== undefined && { address: to }) }),
    ...(port !== undefined && { port }),
    protocol,
    ...(sni !== undefined && { sni: sni === '' ? false : sni }),
  })
  say(1, describe(result, `${values.connect} ${protocol}`, values.explain ?? false))
  return result.verdict === 'allow' ? 0 : 1
}

function readPlace(text: string, isIcmp: boolean): { host: string; port?: number } {
  if (isIcmp) return { host: text.replace(/^\[(.*)\]$/, '$1') }
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host !== undefined && Number(port) <= 65535) return { host, port: Number(port) }
  throw new TypeError(`--connect must be a host and a port, such as a.example:443, not "${text}"`)
}

function describe(result: Simulation, flow: string, isExplained: boolean): string {
  const { verdict, rule, because, check: how, steps } = result
  const lines = isExplained ? steps.map((step) => `  ${step.rule.id}: ${step.because}`) : []
  const by = rule === undefined ? '' : `\n  rule: ${rule.id}`
  const read = how === 'none' ? '' : `\n  its name is read: ${how}`
  return `${[...lines, `${verdict} ${flow}: ${because}${by}${read}`].join('\n')}\n`
}
