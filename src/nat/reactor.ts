/**
 * The data plane's event loop: one edge-triggered epoll set, handlers by token, and a list of those
 * that stopped before they saw EAGAIN.
 *
 * A token is a slot and a generation, never a file descriptor: within one batch of events an fd may
 * be closed and its number used again, and what was meant for the old one must not reach the new.
 *
 * Who sleeps has to be woken, and on a virtual machine that takes longer than many an answer. So as long as one event follows
 * another within POLL, and little is carried, the next is looked for without sleeping (as KVM does it: halt_poll_ns). With much to
 * carry, the processor is of more use to those who send and receive it.
 */
import { Deadlines, type Timed } from '../stack/deadlines.ts'
import { Epoll } from '../sys/epoll.ts'

/** What waits for events of a file descriptor. */
export interface Handler {
  /** The reactor's own: where it is registered, or -1. */
  token: number
  /** The reactor's own: on the list of those that go on. */
  isPending: boolean
  /** `events`: EPOLLIN … as epoll_wait(2) told; 0 when it goes on from the list. */
  ready(events: number): void
}

/** A handler that is called at a time. */
class Delay implements Timed {
  readonly handler: Handler
  deadline: number
  heapIndex = -1
  heapKey = 0

  constructor(handler: Handler, deadline: number) {
    this.handler = handler
    this.deadline = deadline
  }
}

/** Ours, in ms. */
const POLL = 0.1
/** Ours, in octets: who sends more at a time waits for no answer. */
const LITTLE = 16 * 1024
/** Ours, in ms: for how long nobody polls when more than that was carried. */
const QUIET = 10

const SLOT_BITS = 20
const SLOT_MASK = (1 << SLOT_BITS) - 1

export class Reactor {
  /** Milliseconds, of the turn that is under way: every handler of a turn sees the same time. */
  now: number = performance.now()
  readonly #epoll = new Epoll()
  readonly #handlers: (Handler | undefined)[] = []
  readonly #generations: number[] = []
  readonly #free: number[] = []
  readonly #delays = new Map<Handler, Delay>()
  readonly #deadlines = new Deadlines<Delay>()
  #pending: Handler[] = []
  #running: Handler[] = []
  /** The last wait was a short one, and brought something. */
  #isBrisk = false
  #quietUntil = 0

  /** Registers `fd`. Returns 0, or -errno and registers nothing. */
  add(fd: number, events: number, handler: Handler): number {
    const slot = this.#free.pop() ?? this.#handlers.push(undefined) - 1
    const generation = this.#generations[slot] ?? 0
    const token = ((generation << SLOT_BITS) | slot) >>> 0
    const result = this.#epoll.add(fd, events, token)
    if (result < 0) {
      this.#free.push(slot)
      return result
    }
    this.#handlers[slot] = handler
    handler.token = token
    return 0
  }

  /** Forgets the handler; the caller closes `fd` next, which takes it out of the epoll set. */
  remove(handler: Handler): void {
    if (handler.token < 0) return
    const slot = handler.token & SLOT_MASK
    handler.token = -1
    this.#handlers[slot] = undefined
    this.#generations[slot] = ((this.#generations[slot] ?? 0) + 1) & (0xffffffff >>> SLOT_BITS)
    this.#free.push(slot)
    const delay = this.#delays.get(handler)
    if (delay === undefined) return
    this.#delays.delete(handler)
    this.#deadlines.remove(delay)
  }

  /** The same, of a descriptor that stays open. */
  release(fd: number, handler: Handler): void {
    if (handler.token >= 0) this.#epoll.remove(fd)
    this.remove(handler)
  }

  /** The handler has more to do: `ready(0)` is called with the next turn, which will not sleep. */
  again(handler: Handler): void {
    if (handler.isPending) return
    handler.isPending = true
    this.#pending.push(handler)
  }

  /**
   * `ready(0)` is called in `delay` ms: for what failed for want of a resource. Of several times the first counts: the
   * handler looks what is due, and asks anew.
   */
  later(handler: Handler, delay: number): void {
    const at = this.now + delay
    let entry = this.#delays.get(handler)
    if (entry === undefined) {
      entry = new Delay(handler, at)
      this.#delays.set(handler, entry)
    } else if (at < entry.deadline) entry.deadline = at
    else return
    this.#deadlines.update(entry)
  }

  #due(now: number): void {
    for (let due = this.#deadlines.pop(now); due !== undefined; due = this.#deadlines.pop(now)) {
      this.#delays.delete(due.handler)
      this.again(due.handler)
    }
  }

  /** So many octets were carried, in this turn or at once. */
  carried(octets: number): void {
    if (octets > LITTLE) this.#quietUntil = this.now + QUIET
  }

  /** How many events there are, by `until` at the latest. */
  #wait(begun: number, until: number): number {
    let now = begun
    if (this.#isBrisk && begun >= this.#quietUntil) {
      for (const end = Math.min(until, begun + POLL); now < end; now = performance.now()) {
        const count = this.#epoll.wait(0)
        if (count !== 0) return count
      }
    }
    return this.#epoll.wait(Math.max(0, until - now))
  }

  /** Waits for events, until `deadline` at the latest, and hands them out. */
  turn(deadline: number): void {
    const begun = performance.now()
    const goesOn = this.#pending.length > 0
    const until = goesOn ? begun : Math.min(deadline, this.#deadlines.next())
    const count = this.#wait(begun, until)
    this.now = performance.now()
    if (!goesOn) this.#isBrisk = count > 0 && this.now - begun < POLL
    for (let i = 0; i < count; i++) {
      const token = this.#epoll.token(i)
      const handler = this.#handlers[token & SLOT_MASK]
      if (handler !== undefined && handler.token === token) handler.ready(this.#epoll.events(i))
    }
    this.#due(this.now)
    const running = this.#pending
    this.#pending = this.#running
    this.#running = running
    for (let i = 0; i < running.length; i++) {
      const handler = running[i]!
      handler.isPending = false
      if (handler.token >= 0) handler.ready(0)
    }
    running.length = 0
  }

  close(): void {
    this.#epoll.close()
  }
}
