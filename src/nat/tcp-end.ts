/** How a TCP flow ends: what it is told as, and how long a host is waited for that does not take the end of it. */
import type { Reason } from '../stack/icmp-errors.ts'
import type { CloseReason } from '../stack/tcp/connection.ts'
import type { FlowEnd } from './flow-journal.ts'

/** Who ended it. Nobody here aborts but for an error of the host's socket. */
export const ENDS: Readonly<Record<CloseReason, FlowEnd>> = {
  finished: 'finished',
  'guest-reset': 'guest-reset',
  'guest-timeout': 'guest-timeout',
  aborted: 'host-reset',
  refused: 'guest-refused',
}

export function dialEnd(reason: Reason | undefined): FlowEnd {
  if (reason === undefined) return 'host-refused'
  return reason === 'prohibited' ? 'prohibited' : 'host-unreachable'
}

/**
 * In ms: how long a host that takes nothing is waited for when both ends have said their last. As Linux, whose probes of
 * a closed window end so long after the socket's user has gone (tcp_orphan_retries): whoever reads slowly loses nothing.
 */
const PATIENCE = 240_000

/** With a host that has to take what is left. */
export class Patience {
  #delivered = -1
  #until = 0

  /** How many ms of it there are, when so many octets have been delivered by now; 0: it is at its end. */
  rest(delivered: number, now: number): number {
    if (delivered !== this.#delivered) {
      this.#delivered = delivered
      this.#until = now + PATIENCE
    }
    return Math.max(0, this.#until - now)
  }
}
