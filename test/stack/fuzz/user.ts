/** Who uses a connection in a fuzz: reads when it likes, says what can be checked, and closes any time. */
import { Slices } from '../../../src/stack/slices.ts'
import * as tcp from '../../../src/stack/tcp/connection.ts'
import { fail } from '../rig/frames.ts'
import { FROM_GUEST, firstWrong, octetAt, TO_GUEST } from '../rig/random.ts'
import type { Dice } from './dice.ts'

export class FuzzUser implements tcp.ConnectionUser {
  c!: tcp.Connection
  isOver = false
  /** Octets of the guest that were taken, and of the host that were given. */
  received = 0
  given = 0
  /** Damaged segments may have changed octets of it: then nobody knows what is right. */
  isSpoilt = false
  readonly #dice: Dice
  readonly #bytes: Uint8Array
  readonly #slices = new Slices(1024)

  constructor(dice: Dice, bytes: Uint8Array) {
    this.#dice = dice
    this.#bytes = bytes
  }

  established(): void {
    this.#mustBeOn()
    if (this.#dice.chance(0.5)) this.says(this.#dice.len())
  }

  text(c: tcp.Connection, text: Slices): number {
    this.#mustBeOn()
    const { total } = text
    if (total <= 0) fail(`a text of ${total} octets`)
    if (c.rcvQueued > 0) fail('text past what is unread')
    if (this.#dice.chance(0.02)) c.tcp.abort(c, 'aborted')
    if (this.isOver) return 0
    const n = this.#dice.chance(0.6) ? total : this.#dice.below(total + 1)
    const places = new Slices(text.count)
    places.pushFirst(n, text)
    for (let i = 0; i < places.count; i++) this.#take(places.at[i]!, places.len[i]!)
    return n
  }

  readable(): void {
    this.#mustBeOn()
    if (this.#dice.chance(0.5)) this.reads(this.c.rcvQueued)
  }

  finArrived(): void {
    this.#mustBeOn()
    if (this.#dice.chance(0.3)) tcp.close(this.c)
  }

  writable(): void {
    this.#mustBeOn()
    if (this.#dice.chance(0.3)) this.says(this.#dice.len())
  }

  closed(_c: tcp.Connection, reason: tcp.CloseReason): void {
    if (this.isOver) fail('closed twice')
    this.isOver = true
    if (reason !== 'finished') tcp.discard(this.c)
  }

  #mustBeOn(): void {
    if (this.isOver) fail('told of something after the end')
  }

  #take(at: number, len: number): void {
    const text = this.#bytes.subarray(at, at + len)
    const wrong = this.isSpoilt ? -1 : firstWrong(FROM_GUEST, this.received, text)
    if (wrong >= 0) fail(`octet ${this.received + wrong} of the guest is not what was sent`)
    this.received += len
  }

  reads(len: number): void {
    let left = Math.min(len, this.c.rcvQueued)
    while (left > 0) {
      const slices = this.#slices
      slices.clear()
      tcp.unread(this.c, slices)
      const n = Math.min(left, slices.len[0]!)
      this.#take(slices.at[0]!, n)
      tcp.consume(this.c, n)
      left -= n
    }
  }

  says(len: number): void {
    const slices = this.#slices
    slices.clear()
    tcp.reserve(this.c, Math.min(len, tcp.sendRoom(this.c)), slices)
    for (let i = 0; i < slices.count; i++) {
      for (let k = 0; k < slices.len[i]!; k++) {
        this.#bytes[slices.at[i]! + k] = octetAt(TO_GUEST, this.given++)
      }
    }
    tcp.sent(this.c, slices.total)
  }
}
