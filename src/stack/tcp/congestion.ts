/**
 * Congestion control: how many octets may be in flight. One interface, so that CUBIC can stand
 * beside Reno; numbers in, numbers out, no connection is known here.
 */
export interface Congestion {
  /** The congestion window, in octets. */
  cwnd: number
  /** The slow start threshold, in octets. */
  ssthresh: number
  /** `acked` new octets were acknowledged outside of recovery, and the window had been used. */
  onAck(acked: number, smss: number): void
  /** Fast retransmit: one loss episode begins with `flightSize` octets out. */
  onLoss(flightSize: number, smss: number): void
  /** The retransmission timer went off. */
  onTimeout(flightSize: number, smss: number): void
}

/** RFC 6928 §2: ten segments, at most 14,600 octets, at least two segments. */
export const initialWindow = (smss: number): number =>
  Math.min(10 * smss, Math.max(2 * smss, 14600))

/** RFC 5681, counting octets (RFC 3465): a peer behind GRO acknowledges 64 KiB at once. */
export class Reno implements Congestion {
  cwnd: number
  ssthresh: number = Infinity

  constructor(smss: number) {
    this.cwnd = initialWindow(smss)
  }

  onAck(acked: number, smss: number): void {
    if (this.cwnd < this.ssthresh) this.cwnd += acked
    else this.cwnd += Math.max(1, (acked * smss) / this.cwnd)
  }

  onLoss(flightSize: number, smss: number): void {
    this.ssthresh = Math.max(flightSize / 2, 2 * smss) // RFC 5681 equation (4)
    this.cwnd = this.ssthresh
  }

  onTimeout(flightSize: number, smss: number): void {
    this.ssthresh = Math.max(flightSize / 2, 2 * smss)
    this.cwnd = smss // RFC 5681 §3.1: the loss window
  }
}
