/**
 * One direction of a bad link: frames are lost, doubled, damaged, overtake each other, are late, and
 * queue before a bottleneck that holds only so many. Everything by a seed.
 */
import { IP, type Octets } from './frames.ts'

export interface LinkOptions {
  /** Probabilities, 0 to 1. */
  loss?: number
  duplication?: number
  /** That one bit of its IP packet is another; Ethernet's own check would drop what is before. */
  corruption?: number
  /** That a frame waits up to `jitter` ms longer, and so is overtaken. */
  reordering?: number
  /** One way, ms. */
  delay?: number
  jitter?: number
  /** Octets a ms; no bottleneck without it. */
  rate?: number
  /** Frames that may wait before the bottleneck. */
  queue?: number
}

interface Travelling {
  frame: Octets
  at: number
  order: number
}

export class LossyLink {
  sent = 0
  lost = 0
  damaged = 0
  overflowed = 0
  readonly #options: Required<LinkOptions>
  readonly #random: () => number
  /** Sorted by arrival. */
  readonly #travelling: Travelling[] = []
  /** When the bottleneck is free, and when each frame that waits has passed it. */
  #freeAt = 0
  readonly #passing: number[] = []
  #order = 0

  constructor(options: LinkOptions, random: () => number) {
    this.#options = {
      ...{
        loss: 0,
        duplication: 0,
        corruption: 0,
        reordering: 0,
        delay: 5,
        jitter: 5,
        rate: Infinity,
        queue: 1000,
      },
      ...options,
    }
    this.#random = random
  }

  #chance(probability: number): boolean {
    return (this.#random() >>> 0) / 2 ** 32 < probability
  }

  send(frame: Octets, now: number): void {
    const { loss, duplication, corruption, rate, queue } = this.#options
    this.sent++
    if (this.#chance(loss)) return void this.lost++
    while (this.#passing.length > 0 && this.#passing[0]! <= now) this.#passing.shift()
    if (this.#passing.length >= queue) return void this.overflowed++
    this.#freeAt = Math.max(this.#freeAt, now) + frame.length / rate
    if (this.#freeAt > now) this.#passing.push(this.#freeAt)
    if (corruption > 0 && this.#chance(corruption)) this.#damage(frame)
    this.#travel(frame, this.#freeAt)
    if (this.#chance(duplication)) this.#travel(frame, this.#freeAt)
  }

  #damage(frame: Octets): void {
    this.damaged++
    const bit = (this.#random() >>> 0) % (8 * (frame.length - IP))
    frame[IP + (bit >>> 3)]! ^= 1 << (bit & 7)
  }

  #travel(frame: Octets, from: number): void {
    const { delay, jitter, reordering } = this.#options
    const late = this.#chance(reordering) ? ((this.#random() >>> 0) / 2 ** 32) * jitter : 0
    const item = { frame, at: from + delay + late, order: this.#order++ }
    const list = this.#travelling
    let i = list.length
    while (i > 0 && list[i - 1]!.at > item.at) i--
    list.splice(i, 0, item)
  }

  /** When the next frame arrives. */
  deadline(): number {
    return this.#travelling[0]?.at ?? Infinity
  }

  /** The next frame, when it is there. */
  take(now: number): Octets | undefined {
    const first = this.#travelling[0]
    if (first === undefined || first.at > now) return undefined
    this.#travelling.shift()
    return first.frame
  }
}
