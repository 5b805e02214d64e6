/**
 * --policy and --decisions: a policy from a file, which SIGHUP reads again, and a record of what was decided, one JSON object a
 * line, which SIGHUP opens again (logrotate(8) has moved it).
 *
 * With a policy that only observes, the rules that would have allowed what it saw are said at the end.
 */

import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import type { Network } from '../engine/types.ts'
import type { Decision } from '../policy/decisions.ts'
import { parsePolicy } from '../policy/define.ts'
import type { Policy } from '../policy/policy.ts'
import { suggestRules } from '../policy/suggest.ts'
import { say, strerror } from './host.ts'
import type { Log } from './log.ts'

/** Ours, in ms: how often decisions are fetched. What is denied again and again meanwhile is one line. */
const INTERVAL = 250
/** Who may read the record. */
const MODE = 0o600
/** Ours: decisions that are kept for the rules at the end. */
const MAX_OBSERVED = 10_000

export interface EgressSettings {
  /** The file. */
  readonly policy: string
  /** A file, or `-` for stdout. Absent: nothing is recorded. */
  readonly decisions?: string
}

/** Throws with a line for each mistake, or with why the file cannot be read. */
export function readPolicyFile(path: string): Policy {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`cannot read the policy ${path}: ${strerror(error)}`, { cause: error })
  }
  try {
    return parsePolicy(text, path)
  } catch (error) {
    // Not ours to be told of with a stack: each line says what is wrong where.
    throw new Error((error as Error).message, { cause: error })
  }
}

/** Writes decisions, and changes the policy at SIGHUP, until it is closed. */
export class EgressWatch {
  readonly #network: Network
  readonly #log: Log
  readonly #settings: EgressSettings
  readonly #timer: NodeJS.Timeout
  readonly #observed: Decision[] = []
  readonly #onHangUp = (): void => this.#reload()
  #isObserving: boolean
  #fd = -1

  /** Throws when the record cannot be opened. */
  constructor(network: Network, log: Log, settings: EgressSettings, policy: Policy) {
    this.#network = network
    this.#log = log
    this.#settings = settings
    this.#isObserving = policy.mode === 'observe'
    this.#fd = this.#open()
    if (this.#fd >= 0 || this.#isObserving) network.recordDecisions()
    this.#timer = setInterval(() => this.#write(), INTERVAL)
    process.on('SIGHUP', this.#onHangUp)
  }

  #open(): number {
    const { decisions } = this.#settings
    if (decisions === undefined) return -1
    if (decisions === '-') return 1
    try {
      return openSync(decisions, 'a', MODE)
    } catch (error) {
      const message = `cannot record decisions in ${decisions}: ${strerror(error)}`
      throw new Error(message, { cause: error })
    }
  }

  #reload(): void {
    this.#write()
    try {
      const policy = readPolicyFile(this.#settings.policy)
      this.#network.setPolicy(policy)
      this.#isObserving = policy.mode === 'observe'
      if (this.#isObserving) this.#network.recordDecisions()
      this.#log.say('info', 'the policy was read again')
    } catch (error) {
      this.#log.say('error', `${(error as Error).message}\nthe policy stays as it was`)
    }
    try {
      const fd = this.#open()
      if (this.#fd > 2) closeSync(this.#fd)
      this.#fd = fd
    } catch (error) {
      this.#log.say('error', (error as Error).message)
    }
  }

  #write(): void {
    const decisions = this.#network.decisions()
    if (decisions.length === 0) return
    if (this.#isObserving && this.#observed.length < MAX_OBSERVED) {
      this.#observed.push(...decisions)
    }
    if (this.#fd < 0) return
    try {
      let rest = Buffer.from(decisions.map(lineOf).join(''))
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#fd, rest))
    } catch (error) {
      this.#log.say('error', `cannot record decisions: ${strerror(error)}`)
      if (this.#fd > 2) closeSync(this.#fd)
      this.#fd = -1
    }
  }

  /** Writes what is left. */
  close(): void {
    clearInterval(this.#timer)
    process.off('SIGHUP', this.#onHangUp)
    this.#write()
    if (this.#fd > 2) closeSync(this.#fd)
    this.#fd = -1
    const rules = this.#isObserving ? suggestRules(this.#observed) : []
    if (rules.length === 0) return
    const lines = rules.map((rule) => `  ${JSON.stringify(rule)}`)
    say(2, `slipway: these rules would allow what was seen:\n[\n${lines.join(',\n')}\n]\n`)
  }
}

function lineOf({ time, first, ...rest }: Decision): string {
  const iso = (ms: number): string => new Date(ms).toISOString()
  return `${JSON.stringify({ time: iso(time), ...(rest.count > 1 && { first: iso(first) }), ...rest })}\n`
}
