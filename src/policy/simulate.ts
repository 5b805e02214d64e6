/** What a policy would say: for tests of one's own, and for `slipway check`. */
import * as address from '../stack/wire/address.ts'
import { Surroundings } from './addresses.ts'
import { Decider, type Destination, mismatch } from './decider.ts'
import { canonicalName, readName } from './names.ts'
import type { Action, Check, Policy, Protocol, Rule } from './policy.ts'

/** A flow of the container. */
export interface FlowInput {
  /** Whom it is for: the name that the container has asked for, and that it says where a rule looks. */
  readonly name?: string | undefined
  /** Where it goes. With a name, what the answer was. Default with a name: one that its rule allows. */
  readonly address?: string | undefined
  /** With `'icmp'` there is none. */
  readonly port?: number | undefined
  /** Default: `'tcp'`. */
  readonly protocol?: Protocol | undefined
  /** The name that it says instead; `false`: it says none. Default: `name`. */
  readonly sni?: string | false | undefined
  /** Addresses that are the host's own. */
  readonly hostAddresses?: readonly string[] | undefined
}

export interface Simulation {
  readonly verdict: 'allow' | 'deny'
  /** The rule that decides; absent: the default does, or there is no rule that has the name. */
  readonly rule?: Rule
  /** In words. */
  readonly because: string
  /** How its name is learnt. */
  readonly check: Check
  /** Each rule before the one that decides, and why it does not. */
  readonly steps: readonly { readonly rule: Rule; readonly because: string }[]
}

/** Ours: stands for whatever address of the Internet the name has. */
const SOMEWHERE = '1.1.1.1'

/**
 * The verdict on a flow. Throws a TypeError for a flow that is none.
 *
 * @example
 * ```js
 * import { definePolicy, simulate } from 'slipway/policy'
 *
 * const policy = definePolicy({ rules: [{ action: 'allow', name: '*.example.com', port: 443 }] })
 * const { verdict, because } = simulate(policy, { name: 'example.com', port: 443 })
 * console.log(verdict, because) // deny no rule has the name example.com
 * ```
 */
export function simulate(policy: Policy, flow: FlowInput): Simulation {
  const { protocol = 'tcp', sni } = flow
  const name = flow.name === undefined ? undefined : mustBeName(flow.name)
  const decider = new Decider(policy)
  const surroundings = new Surroundings(policy.nat64)
  surroundings.setHostAddresses(flow.hostAddresses ?? [])
  const given = flow.address ?? (name && likelyAddress(decider, name))
  const address = surroundings.judge(mustBeAddress(given))
  const to: Destination = { protocol, port: mustBePort(flow.port, protocol), address }
  const steps = stepsOf(decider, to, name)
  const result = (verdict: Action, rule: Rule | undefined, text: string): Simulation => ({
    verdict,
    ...(rule && { rule }),
    because: text,
    check,
    steps,
  })
  let check: Check = 'none'

  const lease = leaseOf(decider, name, to)
  if (lease.obstacle !== undefined && flow.address === undefined) {
    return result('deny', lease.rule, lease.obstacle)
  }
  // What is denied by its name is so at its address, however the container came by that.
  const admission = decider.admit(to, name === undefined ? [] : [name])
  const { rule } = admission
  check = admission.check
  if (admission.action === 'deny') {
    return result('deny', rule ?? lease.rule, lease.obstacle ?? because(rule, 'deny'))
  }
  if (check === 'none') return result('allow', rule, because(rule, 'allow'))
  if (protocol === 'udp') return result('deny', rule, 'no name is read from UDP')
  const said = sni ?? name
  if (said === false || said === undefined) {
    const isOpen = check === 'tls' && rule?.sni === 'any'
    return result(isOpen ? 'allow' : 'deny', rule, 'it says no name')
  }
  const judged = decider.admitName(to, admission, canonicalName(said) ?? said)
  if (judged.action === 'allow') return result('allow', judged.rule, because(judged.rule, 'allow'))
  return result('deny', judged.rule ?? rule, `it says the name ${said}`)
}

interface Lease {
  /** Why the container has not the address for the name. */
  readonly obstacle?: string
  readonly rule?: Rule | undefined
}

function leaseOf(decider: Decider, name: string | undefined, { address }: Destination): Lease {
  if (name === undefined) return {}
  const { action, rule } = decider.admitQuestion(name)
  if (action === 'deny') {
    const obstacle = rule === undefined ? `no rule has the name ${name}` : because(rule, 'deny')
    return { obstacle, rule }
  }
  if (decider.admitAnswer(name, address)) return {}
  const hint = address.isHost || address.isPrivate ? ', as it does not say "private"' : ''
  const obstacle = `the address is taken out of answers for ${name}${hint}`
  return { obstacle, rule }
}

/** One that a rule asks for; else any of the Internet. */
function likelyAddress(decider: Decider, name: string): string {
  const asked = decider.rulesOf(name).find(({ rule }) => rule.to !== undefined)?.rule.to?.[0]
  if (asked === undefined) return SOMEWHERE
  if (asked === 'host') return '127.0.0.1'
  return asked === 'private' ? '10.0.0.0' : asked.replace(/\/.*/, '')
}

function because(rule: Rule | undefined, action: Action): string {
  const does = action === 'allow' ? 'allows' : 'denies'
  return rule === undefined
    ? `no rule is about it, and the default ${does}`
    : (rule.why ?? `the rule ${does} it`)
}

/** Why each rule up to the one that decides does not. */
function stepsOf(decider: Decider, to: Destination, name: string | undefined): Simulation['steps'] {
  const decides = decider.match(to, name)
  const named = name === undefined ? [] : decider.rulesOf(name)
  return decider.rules.slice(0, decides?.index).map((placed) => {
    const { rule } = placed
    const hasName = rule.name === undefined || named.includes(placed)
    return { rule, because: `another ${hasName ? mismatch(placed, to) : 'name'}` }
  })
}

function mustBeName(text: string): string {
  const read = readName(text)
  if ('problem' in read)
    throw new TypeError(`cannot simulate ${JSON.stringify(text)}: ${read.problem}`)
  return read.name
}

function mustBePort(port: number | undefined, protocol: Protocol): number {
  if (protocol === 'icmp') return 0
  if (port !== undefined && Number.isInteger(port) && port >= 0 && port <= 65535) return port
  throw new TypeError(`cannot simulate a flow of ${protocol} without a port from 0 to 65535`)
}

function mustBeAddress(text: string | undefined): Int32Array {
  const words = new Int32Array(4)
  if (text !== undefined && address.parse(text, words)) return words
  throw new TypeError(
    text === undefined
      ? 'cannot simulate a flow without a name and an address'
      : `cannot simulate a flow to ${JSON.stringify(text)}: it is no address`,
  )
}
