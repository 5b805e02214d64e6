/**
 * The guest's octets of one TCP flow, on their way through an inspector: all are shown to it in their order, and no more are
 * sent than it lets pass. The rest waits in the connection's receive queue, whose window closes with it.
 *
 *            sent              fed
 *   ───────────┼─────────────────┼──────────────
 *      gone      shown, waits      not shown yet        the front of the receive queue is at `sent`
 */
import { Slices } from '../stack/slices.ts'
import * as tcp from '../stack/tcp/connection.ts'
import type { Arena } from '../sys/arena.ts'
import { EAGAIN } from '../sys/constants.ts'
import * as socket from '../sys/socket.ts'
import type { Inspector, Passage } from './gate.ts'
import { isShortage } from './host-errors.ts'

/** As many as one send takes; the rest of a queue has its turn when those are gone. */
const MAX_PLACES = 64

export class Inspection {
  /** The socket takes octets. */
  isWritable = true
  readonly #inspector: Inspector
  readonly #passage: Passage
  readonly #arena: Arena
  #fed = 0
  #sent = 0
  /** What was shown is not there any more: the queue had no room for it, and it comes again. */
  #isBroken = false

  constructor(passage: Passage, inspector: Inspector, arena: Arena) {
    this.#passage = passage
    this.#inspector = inspector
    this.#arena = arena
  }

  get isDenied(): boolean {
    return this.#isBroken || this.#inspector.state === 'denied'
  }

  /** Nothing more needs to be looked at. */
  get isOver(): boolean {
    return this.#inspector.state === 'open'
  }

  /** Octets that may be sent now. */
  get #room(): number {
    if (this.isDenied) return 0
    return Math.max(0, Math.min(this.#inspector.passed, this.#fed) - this.#sent)
  }

  /** Text that has just come, while nothing waits: sends what may be sent, and returns how much; or -errno. */
  text(fd: number, text: Slices): number {
    this.#isBroken ||= this.#fed > this.#sent
    for (let i = 0; i < text.count; i++) this.#feed(text.at[i]!, text.len[i]!)
    this.#passage.inspected?.()
    const room = Math.min(text.total, this.#room)
    if (room === 0 || !this.isWritable) return 0
    places.clear()
    places.pushFirst(room, text)
    return this.#count(socket.sendv(fd, this.#arena, places), room)
  }

  /** Sends once what may be sent of the connection's queue; returns how much, 0 when there is nothing, or -errno. */
  drain(fd: number, c: tcp.Connection, isGuestDone: boolean): number {
    this.#feedQueue(c)
    if (isGuestDone && !this.isOver) this.#inspector.end()
    const room = Math.min(this.#room, c.rcvQueued)
    if (room === 0 || !this.isWritable) return 0
    places.clear()
    c.recvQueue.slices(0, room, places)
    const n = this.#count(socket.sendv(fd, this.#arena, places), places.total)
    if (n > 0) tcp.consume(c, n)
    return n
  }

  #feed(at: number, len: number): void {
    this.#inspector.feed(this.#arena.bytes, at, len)
    this.#fed += len
  }

  /** What waits in the connection's queue and was not shown yet. */
  #feedQueue(c: tcp.Connection): void {
    let shown = this.#fed - this.#sent
    this.#isBroken ||= shown > c.rcvQueued
    if (shown >= c.rcvQueued) return
    places.clear()
    tcp.unread(c, places)
    for (let i = 0; i < places.count; i++) {
      const len = places.len[i]!
      if (shown < len) this.#feed(places.at[i]! + shown, len - shown)
      shown = Math.max(0, shown - len)
    }
    this.#passage.inspected?.()
  }

  #count(n: number, wanted: number): number {
    if (n < wanted && !(n < 0 && isShortage(-n))) this.isWritable = false
    if (n === -EAGAIN) return 0
    if (n > 0) this.#sent += n
    return n
  }
}

const places = new Slices(MAX_PLACES)
