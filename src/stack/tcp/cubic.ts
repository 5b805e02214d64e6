/**
 * CUBIC (RFC 9438): in congestion avoidance the window is a cubic function of the time since the last
 * loss, steep at first, flat about the window where that loss was, and then steep again.
 *
 *   cwnd          W_cubic(t) = C (t - K)³ + W_max                                  ╱
 *    W_max ┤                                    · ─ ── ── ─ ·                     ╱
 *          │                         ·                             ·     ·
 *  β W_max ┤      ·
 *          └──────┴──────────────────────────────┬────────────────────────────── t
 *                 0                              K
 *
 * Windows are in octets here where the RFC has segments, and times in ms: C is scaled in `onAck`.
 * What is given as `now` and `rtt` is all that it knows of time.
 */
import { type Congestion, initialWindow, restart } from './congestion.ts'

/** RFC 9438 §4.6: what a loss leaves of the window. */
export const BETA = 0.7
/** RFC 9438 §5: how fast it grows, in segments/s³. */
export const C = 0.4
/** RFC 9438 §4.3: growth of a Reno that shares fairly with one that halves its window. */
export const ALPHA: number = (3 * (1 - BETA)) / (1 + BETA)

export class Cubic implements Congestion {
  cwnd: number
  ssthresh: number = Infinity
  /** W_max: the window before the last reduction; 0 before the first. */
  wMax = 0
  /** cwnd_prior: the window at which the last reduction was made. */
  cwndPrior = 0
  /** W_est: the window that Reno would have. */
  wEst = 0
  /** K: when W_cubic is at W_max, ms after the epoch's start. */
  k = 0
  /** t_epoch: when this stage of congestion avoidance began, ms; -1: it has yet to. */
  epochAt = -1
  /** When the window was looked at last in this epoch, ms. */
  seenAt = 0

  constructor(smss: number) {
    this.cwnd = initialWindow(smss)
  }

  onAck(acked: number, smss: number, now: number, rtt: number): void {
    if (this.cwnd < this.ssthresh) {
      const grown = Math.min(acked, this.ssthresh - this.cwnd)
      this.cwnd += grown
      acked -= grown
      if (acked === 0) return
    }
    if (this.epochAt < 0) this.#beginEpoch(smss, now)
    this.seenAt = now
    const { cwnd } = this
    // §4.3: α is 1 once the window is where it was.
    this.wEst += ((this.wEst < this.cwndPrior ? ALPHA : 1) * acked * smss) / cwnd
    const t = now - this.epochAt
    if (this.#wCubic(t, smss) < this.wEst) {
      this.cwnd = Math.max(cwnd, this.wEst)
      return
    }
    // §4.2, §4.4, §4.5: towards the window of a round trip from now, by half of ours at most.
    const target = this.#wCubic(t + Math.max(0, rtt), smss)
    const gain = Math.min(Math.max(target - cwnd, 0), cwnd / 2)
    this.cwnd += (gain * Math.min(acked, cwnd)) / cwnd
  }

  /** Equation (1), in octets, `t` in ms. */
  #wCubic(t: number, smss: number): number {
    const s = (t - this.k) / 1000
    return C * s * s * s * smss + this.wMax
  }

  /** §4.2: equation (2); and §4.8, when a time-out or slow start's own end came before. */
  #beginEpoch(smss: number, now: number): void {
    this.epochAt = now
    this.wEst = this.cwnd
    if (this.wMax <= this.cwnd) {
      this.k = 0
      this.wMax = this.cwnd
    } else {
      this.k = 1000 * Math.cbrt((this.wMax - this.cwnd) / smss / C)
    }
  }

  onLoss(flightSize: number, smss: number): void {
    this.#reduce(flightSize, smss)
    this.cwnd = this.ssthresh
  }

  onTimeout(flightSize: number, smss: number): void {
    this.#reduce(flightSize, smss)
    this.cwnd = smss // RFC 5681 §3.1: the loss window
    this.wMax = 0 // §4.8: the next epoch begins with K = 0 where slow start ends
  }

  /** §4.6; §4.7, fast convergence: one that has lost already leaves room to newcomers. */
  #reduce(flightSize: number, smss: number): void {
    const { cwnd } = this
    this.wMax = cwnd < this.wMax ? (cwnd * (1 + BETA)) / 2 : cwnd
    this.cwndPrior = cwnd
    this.ssthresh = Math.max(Math.min(flightSize, cwnd) * BETA, 2 * smss)
    this.epochAt = -1
  }

  /** §5.8: time in which the window was not used does not count. */
  onUnused(now: number): void {
    if (this.epochAt < 0) return
    this.epochAt += now - this.seenAt
    this.seenAt = now
  }

  onIdle(smss: number): void {
    restart(this, smss)
    this.epochAt = -1
  }
}
