/**
 * Time, as far as a test wants it: it walks from deadline to deadline and never jumps over one.
 */
export interface Waiting {
  deadline(): number
  timeout(now: number): void
}

/** More time-outs than this without time going on, and nothing ever will. */
const STUCK = 1000

export class VirtualClock {
  now: number
  readonly start: number
  readonly #waiting: Waiting[] = []

  constructor(start: number) {
    this.now = this.start = start
  }

  attach(waiting: Waiting): void {
    this.#waiting.push(waiting)
  }

  /** When something will happen by itself; Infinity: never. */
  deadline(): number {
    return Math.min(...this.#waiting.map((each) => each.deadline()))
  }

  /** Lets `ms` pass, with everything that is due meanwhile. */
  advance(ms: number): void {
    this.advanceTo(this.now + ms)
  }

  advanceTo(end: number): void {
    let rounds = 0
    for (;;) {
      const next = this.deadline()
      if (next > end) break
      if (next > this.now) {
        this.now = next
        rounds = 0
      }
      if (++rounds > STUCK) throw new Error(`a deadline of ${next} stays though it is ${this.now}`)
      for (const each of this.#waiting) if (each.deadline() <= this.now) each.timeout(this.now)
    }
    this.now = end
  }

  /** Goes to the next deadline, which must be there. */
  advanceToDeadline(): void {
    const next = this.deadline()
    if (next === Infinity) throw new Error('nothing is due, ever')
    this.advanceTo(Math.max(next, this.now))
  }
}
