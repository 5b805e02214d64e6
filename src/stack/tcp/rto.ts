/** The retransmission timeout (RFC 6298). All times in ms. */

/** RFC 6298 §2.1: before the first measurement. */
export const INITIAL_RTO = 1000
/**
 * Deviates from RFC 6298 §2.4 (1 s), as Linux does: the guest is a virtual link away, and its
 * delayed ACKs come within 40 ms. See 'the timeout is never below 200 ms'.
 */
export const MIN_RTO = 200
/** RFC 6298 §2.5: at least 60 s. */
export const MAX_RTO = 60_000
/** RFC 6298 §5.7. */
const SYN_LOST_RTO = 3000
/** The clock granularity G. */
const G = 1

export class Rto {
  /** -1 before the first measurement. */
  srtt = -1
  rttvar = 0
  /** The time-out with its backoff. */
  rto: number = INITIAL_RTO

  /** A round trip took `rtt` ms (§2.2, §2.3); also ends the backoff (§5.7). */
  sample(rtt: number): void {
    if (this.srtt < 0) {
      this.srtt = rtt
      this.rttvar = rtt / 2
    } else {
      this.rttvar = 0.75 * this.rttvar + 0.25 * Math.abs(this.srtt - rtt)
      this.srtt = 0.875 * this.srtt + 0.125 * rtt
    }
    this.rto = Math.min(MAX_RTO, Math.max(MIN_RTO, this.srtt + Math.max(G, 4 * this.rttvar)))
  }

  /** §5.7: a SYN had to be sent again. Text starts with 3 s, and not with the backoff. */
  restart(): void {
    this.rto = SYN_LOST_RTO
  }

  /** §5.5: the timer went off. */
  backOff(): void {
    this.rto = Math.min(MAX_RTO, this.rto * 2)
  }
}
