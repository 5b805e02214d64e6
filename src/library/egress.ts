/** The egress options of `attach`: a policy, and what the program is asked where that says nothing. */
import type { HooksAsked, HookVerdict } from '../egress/hooks.ts'
import type { NetworkEgress } from '../egress/network-egress.ts'
import type { Policy, PolicyInput, Protocol } from '../policy/policy.ts'
import { coded, mistyped, readInteger, readObject, wrong } from './values.ts'

/** A connection, or the first datagram to somewhere, that no rule is about. */
export interface FlowQuestion {
  /** The container's address. */
  readonly guest: string
  /** The name that it is for; absent: the container has its address from nowhere. */
  readonly name?: string
  /** Of one without a name. */
  readonly address?: string
  readonly protocol: Protocol
  /** Of ICMP there is none. */
  readonly port?: number
}

/** A name that no rule has. */
export interface NameQuestion {
  /** The container's address. */
  readonly guest: string
  readonly name: string
}

export interface HookContext {
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal
}

/** What a hook returns: made by `allow` and `deny`. */
export type Verdict = HookVerdict

type Answer = Verdict | Promise<Verdict>

/** A policy, and hooks. */
export interface EgressOptions extends PolicyInput {
  /** Asked about each flow that no rule is about, before it is dialled. */
  readonly onFlow?: ((flow: FlowQuestion, context: HookContext) => Answer) | undefined
  /** Asked about each name that no rule has, before anybody else hears of it. */
  readonly onQuery?: ((query: NameQuestion, context: HookContext) => Answer) | undefined
  /** In ms: what is not answered by then is denied. Default: 30000. */
  readonly hookTimeout?: number | undefined
}

export type Hooks = Pick<EgressOptions, 'onFlow' | 'onQuery'>

interface Lasting {
  /**
   * For what waits for the answer, until the network ends, or for so many ms. Default: `'flow'`.
   */
  readonly for?: 'flow' | 'session' | number | undefined
  /** For people who read the records. */
  readonly why?: string | undefined
}

/** The answer of a hook: it may. */
export const allow = (options: Lasting = {}): Verdict => verdict('allow', options)

/** The answer of a hook: it may not. */
export const deny = (options: Lasting = {}): Verdict => verdict('deny', options)

function verdict(action: 'allow' | 'deny', given: unknown): Verdict {
  const { for: lasting = 'flow', why } = readObject(given, 'options', ['for', 'why'])
  if (!isLasting(lasting)) {
    const wanted = "'flow', 'session' or a number of milliseconds"
    throw wrong(lasting, 'options.for', wanted, typeof lasting === 'number')
  }
  if (why !== undefined && typeof why !== 'string')
    throw wrong(why, 'options.why', 'a string', false)
  return { action, for: lasting, ...(why !== undefined && { why }) }
}

export const isLasting = (given: unknown): given is HookVerdict['for'] =>
  given === 'flow' || given === 'session' || (typeof given === 'number' && given >= 0)

const HOOK_TIMEOUT = 30_000
const MAX_HOOK_TIMEOUT = 24 * 3600 * 1000

/** Loaded here, so that a program without a policy does not load the list of public suffixes. */
export async function readPolicy(given: unknown, name: string): Promise<Policy> {
  const { definePolicy, PolicyError } = await import('../policy/define.ts')
  try {
    return definePolicy(given as PolicyInput)
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error
    const [first] = error.problems
    const path = first!.path === '' ? name : `${name}.${first!.path}`
    throw coded(new TypeError(`${path} ${first!.message}`, { cause: error }))
  }
}

export async function readEgress(
  given: unknown,
): Promise<{ egress: NetworkEgress; hooks: Hooks } | undefined> {
  if (given === undefined) return undefined
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw wrong(given, 'options.egress', 'an object', false)
  }
  const { onFlow, onQuery, hookTimeout = HOOK_TIMEOUT, ...rest } = given as EgressOptions
  for (const [name, hook] of Object.entries({ onFlow, onQuery })) {
    if (hook === undefined || typeof hook === 'function') continue
    throw mistyped(`options.egress.${name} must be a function`)
  }
  const timeout = readInteger(hookTimeout, 'options.egress.hookTimeout', 1, MAX_HOOK_TIMEOUT)
  const policy = await readPolicy(rest, 'options.egress')
  const asked: HooksAsked = {
    flow: onFlow !== undefined,
    query: onQuery !== undefined,
    timeout,
  }
  const egress = { policy, ...((asked.flow || asked.query) && { hooks: asked }) }
  return { egress, hooks: { onFlow, onQuery } }
}
