/** What spliced flows borrow: pipes for octets on their way, and sockets in the guest's namespace. */
import { closePipe, openPipe, type Pipe } from '../sys/splice.ts'
import type { GuestSockets } from './guest-sockets.ts'

/** Ours: what one pipe holds; an ordinary user may have 64 MiB in pipes (fs.pipe-user-pages-soft, pipe(7)). */
export const PIPE_LEN: number = 512 * 1024
/** Ours: empty pipes that are kept for the next. */
const MOST_KEPT = 32

export interface Splicing {
  readonly sockets: GuestSockets
  readonly pipes: Pipes
}

export class Pipes {
  readonly #free: Pipe[] = []

  /** Undefined when none can be had. */
  take(): Pipe | undefined {
    const kept = this.#free.pop()
    if (kept !== undefined) return kept
    const fresh = openPipe(PIPE_LEN)
    return typeof fresh === 'number' ? undefined : fresh
  }

  give(pipe: Pipe, isEmpty: boolean): void {
    if (isEmpty && this.#free.length < MOST_KEPT) this.#free.push(pipe)
    else closePipe(pipe)
  }

  destroy(): void {
    for (const pipe of this.#free.splice(0)) closePipe(pipe)
  }
}
