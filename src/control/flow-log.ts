/**
 * The flow log's lines (--log-flows), as text in slirpnetstack's grammar or as one JSON object each.
 *
 *   + tcp 10.0.2.100:40123 → 192.0.2.1:443
 *   + tcp 10.0.2.100:40124 → 10.0.2.2:80 (127.0.0.1:80)         who it really is
 *   + tcp 10.0.2.100:80 ← 198.51.100.7:5555                      through a published port
 *   - tcp 10.0.2.100:40123 → 192.0.2.1:443 finished 12.3 kB / 1.2 MB 840 ms
 *
 * The octets are those from the guest, then those to it.
 */
import type { ClosedFlow, Flow, FlowAddress } from '../engine/types.ts'

export const FLOW_LOG_FORMATS = ['text', 'json'] as const
export type FlowLogFormat = (typeof FLOW_LOG_FORMATS)[number]

export function flowLine(format: FlowLogFormat, flow: Flow | ClosedFlow): string {
  return format === 'json' ? jsonLine(flow) : textLine(flow)
}

function jsonLine(flow: Flow | ClosedFlow): string {
  const { openedAt, ...rest } = flow
  const event = 'reason' in flow ? 'flow-close' : 'flow-open'
  return `${JSON.stringify({ event, ...rest, openedAt: new Date(openedAt).toISOString() })}\n`
}

function textLine(flow: Flow | ClosedFlow): string {
  const arrow = flow.origin === 'guest' ? '→' : '←'
  const ends = `${flow.proto} ${show(flow.guest)} ${arrow} ${show(flow.peer)}`
  const isHidden = show(flow.peer) !== show(flow.host)
  const line = isHidden ? `${ends} (${show(flow.host)})` : ends
  if (!('reason' in flow)) return `+ ${line}\n`
  const { reason, octetsFromGuest, octetsToGuest, duration } = flow
  const octets = `${showOctets(octetsFromGuest)} / ${showOctets(octetsToGuest)}`
  return `- ${line} ${reason} ${octets} ${showDuration(duration)}\n`
}

function show({ address, port }: FlowAddress): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function showOctets(octets: number): string {
  if (octets < 1000) return `${octets} B`
  const units = ['kB', 'MB', 'GB', 'TB']
  let value = octets / 1000
  let unit = 0
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value.toFixed(1)} ${units[unit]}`
}

const showDuration = (ms: number): string =>
  ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
