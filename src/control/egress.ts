/**
 * --policy and --decisions: a policy from a file, which SIGHUP reads again, and a record of what was decided, one JSON object a
 * line, which SIGHUP opens again (logrotate(8) has moved it).
 *
 * Nobody waits for who reads the record: what cannot be written now waits, and decisions stay where they come from meanwhile, where
 * what is denied again and again is one, and what is allowed too often is counted (policy/decisions.ts).
 *
 * With a policy that only observes, the rules that would have allowed what it saw are said at the end.
 */

import { closeSync, constants, fstatSync, openSync, readFileSync, writeSync } from 'node:fs'
import type { Network } from '../engine/types.ts'
import type { Decision } from '../policy/decisions.ts'
import { parsePolicy } from '../policy/define.ts'
import type { Policy } from '../policy/policy.ts'
import { suggestRules } from '../policy/suggest.ts'
import { say, strerror } from './host.ts'
import type { Log } from './log.ts'

/** Ours, in ms: how often decisions are fetched. What is denied again and again meanwhile is one line. */
const INTERVAL = 250
/** Ours, in ms: how soon it is tried again when a reader was slow. */
const SOON = 10
const LF = 10
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
  /** Lines that are being written, and how far. */
  #lines: Buffer = Buffer.alloc(0)
  #written = 0
  #soon: NodeJS.Timeout | undefined
  /** It was said that they cannot be written. */
  #isFailing = false

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
    if (decisions === '-') return openStdout()
    try {
      const { O_WRONLY, O_CREAT, O_APPEND, O_NONBLOCK } = constants
      return openSync(decisions, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, MODE)
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
      this.#startLine()
      this.#write()
    } catch (error) {
      this.#log.say('error', (error as Error).message)
    }
  }

  #write(): void {
    if (!this.#flush()) return
    const decisions = this.#fetch()
    if (decisions.length === 0 || this.#fd < 0) return
    this.#lines = Buffer.from(decisions.map(lineOf).join(''))
    this.#written = 0
    this.#flush()
  }

  #fetch(): readonly Decision[] {
    const decisions = this.#network.decisions()
    if (this.#isObserving && this.#observed.length < MAX_OBSERVED) {
      this.#observed.push(...decisions)
    }
    return decisions
  }

  /** False when not all could be written. */
  #flush(): boolean {
    try {
      while (this.#written < this.#lines.length) {
        this.#written += writeSync(this.#fd, this.#lines, this.#written)
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') this.#writeSoon()
      else if (!this.#isFailing) {
        this.#isFailing = true
        this.#log.say('error', `cannot record decisions: ${strerror(error)}; they wait`)
      }
      return false
    }
    if (this.#isFailing) this.#log.say('info', 'decisions are recorded again')
    this.#isFailing = false
    return true
  }

  #writeSoon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined
      this.#write()
    }, SOON)
  }

  /** Another file does not begin with half a line. */
  #startLine(): void {
    const isWithin = this.#written > 0 && this.#lines[this.#written - 1] !== LF
    if (isWithin) this.#written = this.#lines.indexOf(LF, this.#written) + 1
  }

  #sayLost(): void {
    const waiting = this.#lines.subarray(this.#written).filter((octet) => octet === LF).length
    const lost = this.#fetch().reduce((sum, { count }) => sum + count, waiting)
    if (lost > 0) this.#log.say('error', `${lost} decisions were not recorded`)
  }

  /** Writes what is left. */
  close(): void {
    clearInterval(this.#timer)
    process.off('SIGHUP', this.#onHangUp)
    this.#write()
    clearTimeout(this.#soon)
    if (this.#written < this.#lines.length) this.#sayLost()
    if (this.#fd > 2) closeSync(this.#fd)
    this.#fd = -1
    const rules = this.#isObserving ? suggestRules(this.#observed) : []
    if (rules.length === 0) return
    const lines = rules.map((rule) => `  ${JSON.stringify(rule)}`)
    say(2, `slipway: these rules would allow what was seen:\n[\n${lines.join(',\n')}\n]\n`)
  }
}

/** Of a pipe or terminal, whose reader may be slow, another description: others who write to it may want to wait. */
function openStdout(): number {
  const stat = fstatSync(1)
  if (!stat.isFIFO() && !stat.isCharacterDevice()) return 1
  try {
    return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    return 1 // somebody else's, or there is no /proc
  }
}

function lineOf({ time, first, ...rest }: Decision): string {
  const iso = (ms: number): string => new Date(ms).toISOString()
  return `${JSON.stringify({ time: iso(time), ...(rest.count > 1 && { first: iso(first) }), ...rest })}\n`
}
