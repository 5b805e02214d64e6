/**
 * Flows of one guest endpoint each, whomever it talks to (RFC 4787 REQ-1, RFC 5508 REQ-1): found by its
 * address and port, closed when they were silent for their time-out, and never more than a limit:
 * then the one whose time-out is nearest makes room.
 */
import { Deadlines, type Timed } from '../stack/deadlines.ts'
import { isIpv4 } from '../stack/flow-table.ts'
import type { FlowEnd } from './flow-journal.ts'

export type GuestKey = number | string

export interface GuestFlow extends Timed {
  readonly name: GuestKey
  /** Closes the socket, for that reason. */
  release(end: FlowEnd): void
}

/** Above all addresses and ports. */
const DNS = 2 ** 48

/**
 * The guest's address and port as one number; over IPv6, which is rarer, as text. What goes to the
 * DNS address is a flow of its own.
 */
export function nameOf(key: Int32Array, isDns = false): GuestKey {
  const port = key[8]! >>> 16
  if (isIpv4(key)) return (isDns ? DNS : 0) + (key[3]! >>> 0) * 65536 + port
  return `${isDns ? 'dns ' : ''}${key[0]} ${key[1]} ${key[2]} ${key[3]} ${port}`
}

export class GuestFlows<T extends GuestFlow> {
  readonly #flows = new Map<GuestKey, T>()
  readonly #deadlines = new Deadlines<T>()
  readonly #most: number
  readonly #onClosed: (end: FlowEnd) => void

  constructor(most: number, onClosed: (end: FlowEnd) => void) {
    this.#most = most
    this.#onClosed = onClosed
  }

  get size(): number {
    return this.#flows.size
  }

  get(name: GuestKey): T | undefined {
    return this.#flows.get(name)
  }

  /** Makes room for one more: now a descriptor is free, too. */
  makeRoom(): void {
    if (this.#flows.size < this.#most) return
    const first = this.#deadlines.takeFirst()
    if (first !== undefined) this.close(first, 'evicted')
  }

  add(flow: T): void {
    this.#flows.set(flow.name, flow)
  }

  /** The flow carried something: it stays until `deadline`. */
  keep(flow: T, deadline: number): void {
    flow.deadline = deadline
    this.#deadlines.update(flow)
  }

  close(flow: T, end: FlowEnd): void {
    this.#deadlines.remove(flow)
    this.#flows.delete(flow.name)
    flow.release(end)
    this.#onClosed(end)
  }

  deadline(): number {
    return this.#deadlines.next()
  }

  timeout(now: number): void {
    for (;;) {
      const flow = this.#deadlines.pop(now)
      if (flow === undefined) return
      this.close(flow, 'expired')
    }
  }

  destroy(): void {
    for (const flow of [...this.#flows.values()]) this.close(flow, 'closed')
  }
}
