/**
 * Congestion control: how many octets may be in flight. One interface for CUBIC (cubic.ts) and Reno;
 * numbers in, numbers out, no connection is known here.
 */
export interface Congestion {
  /** The congestion window, in octets. */
  cwnd: number
  /** The slow start threshold, in octets. */
  ssthresh: number
  /**
   * `acked` new octets were acknowledged outside of recovery, and the window had been used. `rtt`: the
   * smoothed round trip, ms; negative before the first measurement.
   */
  onAck(acked: number, smss: number, now: number, rtt: number): void
  /**
   * Fast retransmit: one loss episode begins with `flightSize` octets out. Octets that wait behind a
   * hole count there and have long left the network: what the window let out is the most that counts.
   */
  onLoss(flightSize: number, smss: number): void
  /** The retransmission timer went off. */
  onTimeout(flightSize: number, smss: number): void
  /** Until now the user had less to send than the window lets out: nothing was learnt meanwhile. */
  onUnused(now: number): void
  /** Nothing was sent for longer than an RTO: what the window was says little (RFC 5681 §4.1). */
  onIdle(smss: number): void
}

export type CongestionName = 'cubic' | 'reno'

/** RFC 6928 §2: ten segments, at most 14,600 octets, at least two segments. */
export const initialWindow = (smss: number): number =>
  Math.min(10 * smss, Math.max(2 * smss, 14600))

/**
 * RFC 5681 §4.1: after idleness at most the initial window; slow start leads back to three quarters of
 * what it was (RFC 7661 §4.3).
 */
export function restart(congestion: Congestion, smss: number): void {
  const { cwnd, ssthresh } = congestion
  congestion.ssthresh = Math.max(ssthresh, 0.75 * cwnd)
  congestion.cwnd = Math.min(cwnd, initialWindow(smss))
}

/** RFC 5681, counting octets (RFC 3465): a peer behind GRO acknowledges 64 KiB at once. */
export class Reno implements Congestion {
  cwnd: number
  ssthresh: number = Infinity

  constructor(smss: number) {
    this.cwnd = initialWindow(smss)
  }

  onAck(acked: number, smss: number): void {
    if (this.cwnd < this.ssthresh) {
      const grown = Math.min(acked, this.ssthresh - this.cwnd)
      this.cwnd += grown
      acked -= grown
      if (acked === 0) return
    }
    this.cwnd += Math.max(1, (acked * smss) / this.cwnd)
  }

  onLoss(flightSize: number, smss: number): void {
    this.#reduce(flightSize, smss)
    this.cwnd = this.ssthresh
  }

  onTimeout(flightSize: number, smss: number): void {
    this.#reduce(flightSize, smss)
    this.cwnd = smss // RFC 5681 §3.1: the loss window
  }

  /** RFC 5681 equation (4). */
  #reduce(flightSize: number, smss: number): void {
    this.ssthresh = Math.max(Math.min(flightSize, this.cwnd) / 2, 2 * smss)
  }

  onUnused(): void {}

  onIdle(smss: number): void {
    restart(this, smss)
  }
}
