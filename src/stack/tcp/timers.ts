/** What time does to a connection. One `deadline`, recomputed in one function. */
import { type Connection, flightSize, maySend } from './connection.ts'
import { emitKeepAlive, emitText, persistInterval, sendTailProbe, timestamp } from './output.ts'
import { detectLoss, enterTimeoutRecovery } from './recovery.ts'
import * as seq from './seq.ts'

/** R2 for text (RFC 9293 §3.8.3): as Linux' tcp_retries2, some 15 minutes with the backoff. */
const MAX_RETRANSMITS = 15
/** R2 for a SYN: with 1, 2, 4 … s, a little over the 3 minutes that MUST-23 asks for. */
const MAX_SYN_RETRANSMITS = 7

/** The earliest of the connection's timers becomes its deadline. */
export function updateDeadline(c: Connection): void {
  const alarms = Math.min(c.keepAliveAt, c.waitAt)
  c.deadline = Math.min(c.rtoAt, c.reoAt, c.ptoAt, c.persistAt, c.ackAt, alarms)
  if (c.state !== 'CLOSED') c.tcp.deadlines.update(c)
}

/** The deadline is here. The caller flushes the connection afterwards. */
export function timeout(c: Connection, now: number): void {
  if (now >= c.rtoAt) retransmissionTimeout(c, now)
  if (now >= c.reoAt) detectLoss(c, now)
  if (now >= c.ptoAt) {
    c.ptoAt = Infinity
    c.tcp.counters.tcpTailProbes++
    sendTailProbe(c, now)
  }
  if (now >= c.persistAt) persistTimeout(c, now)
  if (now >= c.ackAt) {
    c.ackNow = true
    c.isInteractive = false // nothing was sent that could have carried it
  }
  if (now >= c.keepAliveAt) keepAliveTimeout(c, now)
  if (now >= c.waitAt && c.state === 'TIME-WAIT') c.tcp.remove(c)
}

/** RFC 6298 §5.4–§5.7. */
function retransmissionTimeout(c: Connection, now: number): void {
  c.rtoAt = Infinity
  if (flightSize(c) === 0) return
  const isOpening = c.state === 'SYN-SENT' || c.state === 'SYN-RECEIVED'
  // A guest that acknowledges with a closed window lives (RFC 9293 §3.8.6.1, MUST-37).
  const isClosed = !isOpening && c.sndWnd === 0 && now - c.heardAt <= 2 * c.rto.rto
  if (!isClosed) c.retransmits++
  if (c.retransmits > (isOpening ? MAX_SYN_RETRANSMITS : MAX_RETRANSMITS)) {
    return c.tcp.abort(c, 'guest-timeout')
  }
  c.tcp.counters.tcpTimeouts++
  c.rto.backOff()
  c.rtoAt = now + c.rto.rto
  c.rttAt = -1
  c.timeoutVal = timestamp(c, now)
  if (isOpening) {
    c.synDue = true
    return
  }
  enterTimeoutRecovery(c, now)
}

/** RFC 9293 §3.8.6.1: one octet beyond the closed window, again and again. */
function persistTimeout(c: Connection, now: number): void {
  c.persistAt = Infinity
  if (!maySend(c.state) || c.sendQueue.length === 0) return
  // As long as something is heard of the guest, this goes on for ever (MUST-37).
  if (c.heardAt >= c.probedAt) c.retransmits = 0
  else if (++c.retransmits > MAX_RETRANSMITS) return c.tcp.abort(c, 'guest-timeout')
  c.probedAt = now
  c.persistBackoff++
  if (c.sndWnd > 0) {
    c.isForced = true // a small window: the override time-out of §3.8.6.2.1
  } else {
    emitText(c, c.sndUna, 1, false, now)
    // The octet may be taken, and is then acknowledged: so it counts as sent, but no RTO runs.
    if (!c.isProbing) {
      c.sndNxt = seq.add(c.sndNxt, 1)
      c.inFlight.append(c.sndNxt, now)
    }
    c.isProbing = true
  }
  c.persistAt = now + persistInterval(c)
}

/**
 * RFC 9293 §3.8.4: an idle guest is asked whether it lives, and given up when it does not answer
 * several times in a row (MUST-29). The timer is not set back by each segment; here one sees when
 * the last one came.
 */
function keepAliveTimeout(c: Connection, now: number): void {
  const { idle, interval, probes } = c.keepAlive!
  if (c.heardAt >= c.probedAt) c.keepAliveProbes = 0
  if (c.keepAliveProbes === 0 && now < c.heardAt + idle) {
    c.keepAliveAt = c.heardAt + idle
    return
  }
  // MUST-26. What is out, or waits for a window, has a timer that finds out by itself.
  if (flightSize(c) > 0 || c.sendQueue.length > 0) {
    c.keepAliveAt = now + idle
    return
  }
  if (c.keepAliveProbes >= probes) return c.tcp.abort(c, 'guest-timeout')
  c.keepAliveProbes++
  c.probedAt = now
  c.tcp.counters.tcpKeepAlives++
  emitKeepAlive(c, now)
  c.keepAliveAt = now + interval
}
