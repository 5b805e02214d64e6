/** The host's side of a connection: who uses it, and what a test does with it. */

import { Slices } from '../../../src/stack/slices.ts'
import {
  type CloseReason,
  type Connection,
  type ConnectionUser,
  close,
  consume,
  discard,
  reserve,
  type State,
  sendRoom,
  sent,
  unread,
} from '../../../src/stack/tcp/connection.ts'
import { fail } from './frames.ts'
import { FROM_GUEST, firstWrong, octetAt, TO_GUEST } from './random.ts'
import type { Rig } from './rig.ts'

export class Host implements ConnectionUser {
  readonly rig: Rig
  c!: Connection
  /** How many octets it takes of what arrives: all, or none, which then waits to be `read`. */
  isReading = true
  /** Octets of the guest that were taken; each was the right one. */
  received = 0
  /** Octets of the host that were given to the connection. */
  given = 0
  /** What it was told, in order. */
  readonly events: string[] = []
  reason: CloseReason | undefined
  /** Called when it is told something, by name. */
  readonly on: Partial<
    Record<'established' | 'text' | 'fin' | 'writable' | 'readable', () => void>
  > = {}
  readonly #slices = new Slices(1024)

  constructor(rig: Rig) {
    this.rig = rig
  }

  // --- what the connection calls ---

  established(): void {
    this.#tell('established')
  }

  text(_c: Connection, { at, len, count, total }: Slices): number {
    if (this.reason !== undefined) fail('text after the end')
    if (total <= 0) fail(`a text of ${total} octets`)
    if (this.c.rcvQueued > 0) fail('text past what is unread')
    this.on.text?.()
    if (!this.isReading) return 0
    for (let i = 0; i < count; i++) this.#take(at[i]!, len[i]!)
    return total
  }

  readable(): void {
    this.#tell('readable')
    if (this.isReading) this.#read(this.c.rcvQueued)
  }

  finArrived(): void {
    this.#tell('fin')
  }

  writable(): void {
    this.on.writable?.()
  }

  closed(_c: Connection, reason: CloseReason): void {
    if (this.reason !== undefined) fail('closed twice')
    this.reason = reason
    this.events.push(reason)
    if (reason !== 'finished') discard(this.c)
  }

  #tell(event: 'established' | 'fin' | 'readable'): void {
    if (this.reason !== undefined) fail(`${event} after the end`)
    this.events.push(event)
    this.on[event]?.()
  }

  #take(at: number, len: number): void {
    const text = this.rig.memory.bytes.subarray(at, at + len)
    const wrong = firstWrong(FROM_GUEST, this.received, text)
    if (wrong >= 0) fail(`octet ${this.received + wrong} of the guest is not what was sent`)
    this.received += len
  }

  #read(len: number): void {
    while (len > 0) {
      const slices = this.#slices
      slices.clear()
      unread(this.c, slices)
      if (slices.total === 0) fail(`${len} octets to be read, and nothing there`)
      let taken = 0
      for (let i = 0; i < slices.count && taken < len; i++) {
        const n = Math.min(slices.len[i]!, len - taken)
        this.#take(slices.at[i]!, n)
        taken += n
      }
      consume(this.c, taken)
      len -= taken
    }
  }

  // --- what a test calls ---

  state(): State {
    return this.c.state
  }

  /** Reads what waits, or `len` octets of it. */
  reads(len: number = this.c.rcvQueued): void {
    if (len > this.c.rcvQueued) fail(`only ${this.c.rcvQueued} octets wait`)
    this.#read(len)
    this.rig.flush()
  }

  /** Gives the connection `len` octets; throws when it does not take them all. */
  sends(len: number): void {
    const n = this.sendsUpTo(len)
    if (n !== len) fail(`the connection took ${n} of ${len} octets`)
  }

  /** Gives the connection up to `len` octets: as many as it takes. */
  sendsUpTo(len: number): number {
    const given = this.give(len)
    this.rig.flush()
    return given
  }

  /** The same from within a call of the connection, where no flush is allowed. */
  give(len: number): number {
    const slices = this.#slices
    let total = 0
    while (total < len) {
      slices.clear()
      reserve(this.c, Math.min(len - total, sendRoom(this.c)), slices)
      if (slices.total === 0) break
      for (let i = 0; i < slices.count; i++) {
        for (let k = 0; k < slices.len[i]!; k++) {
          this.rig.memory.bytes[slices.at[i]! + k] = octetAt(TO_GUEST, this.given++)
        }
      }
      total += slices.total
      sent(this.c, slices.total)
    }
    return total
  }

  closes(): void {
    close(this.c)
    this.rig.flush()
  }

  aborts(): void {
    this.rig.stack.tcp.abort(this.c, 'aborted')
    this.rig.flush()
  }
}
