/**
 * Counters in Prometheus' text format (version 0.0.4), named by its conventions: base units, `_total` for what only
 * grows, what is divided by a label and not by the name.
 */
import type { Stats } from './types.ts'

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

export interface Metric {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly samples: readonly Sample[]
}

/** The counters of a network as Prometheus reads them. `labels` are added to each: for several networks in one program. */
export function formatMetrics(stats: Stats, labels: Readonly<Record<string, string>> = {}): string {
  return formatAll(metricsOf(stats), labels)
}

export function formatAll(
  metrics: readonly Metric[],
  labels: Readonly<Record<string, string>> = {},
): string {
  return metrics.map((metric) => format(metric, labels)).join('')
}

function metricsOf(stats: Stats): Metric[] {
  const { fromGuest, toGuest, tcp, udp, echo, drops, socketsFailed } = stats
  const counter = (name: string, help: string, samples: readonly Sample[]): Metric => ({
    name: `slipway_${name}_total`,
    type: 'counter',
    help,
    samples,
  })
  const one = (value: number): readonly Sample[] => [[{}, value]]
  const byDirection = (from: number, to: number): readonly Sample[] => [
    [{ direction: 'from_guest' }, from],
    [{ direction: 'to_guest' }, to],
  ]
  const kinds = Object.entries({ tcp, udp, icmp: echo })
  const byProtocol = (value: (kind: { opened: number; closed: number }) => number): Sample[] =>
    kinds.map(([protocol, kind]) => [{ protocol }, value(kind)])
  return [
    counter(
      'frames',
      'Frames of the container. With segmentation offload one has up to 64 KiB, to the container up to 256 KiB.',
      byDirection(fromGuest.frames, toGuest.frames),
    ),
    counter(
      'frame_bytes',
      'Octets of these frames.',
      byDirection(fromGuest.octets, toGuest.octets),
    ),
    counter(
      'flows_opened',
      'TCP connections, UDP ports and ping identifiers of the container.',
      byProtocol(({ opened }) => opened),
    ),
    counter(
      'flows_closed',
      'Of these, those that are over.',
      byProtocol(({ closed }) => closed),
    ),
    {
      name: 'slipway_flows',
      type: 'gauge',
      help: 'Of these, those that are there.',
      samples: byProtocol(({ opened, closed }) => opened - closed),
    },
    counter(
      'flows_evicted',
      'UDP ports and ping identifiers that made room for others, as many as there may be being there.',
      Object.entries({ udp, icmp: echo }).map(([protocol, kind]) => [{ protocol }, kind.evicted]),
    ),
    counter(
      'tcp_dials_failed',
      'Connections of the container that the host, or who is behind it, refused.',
      one(tcp.dialsFailed),
    ),
    counter(
      'tcp_retransmits',
      'Segments that were sent to the container again.',
      one(tcp.retransmits),
    ),
    counter(
      'tcp_timeouts',
      "Times that a connection's retransmission timer went off.",
      one(tcp.timeouts),
    ),
    counter(
      'tcp_challenge_acks',
      'Answers to segments that somebody else may have made up (RFC 5961).',
      one(tcp.challengeAcks),
    ),
    counter(
      'tcp_keep_alives',
      'Idle connections of the container that were asked whether they live.',
      one(tcp.keepAlives),
    ),
    counter(
      'drops',
      'Frames and packets that were dropped, by reason.',
      Object.entries(drops).map(([reason, count]) => [{ reason: snake(reason) }, count]),
    ),
    counter(
      'socket_failures',
      'Sockets that could not be had for want of descriptors or memory.',
      one(socketsFailed),
    ),
  ]
}

function format(
  { name, type, help, samples }: Metric,
  common: Readonly<Record<string, string>>,
): string {
  const lines = samples.map(([labels, value]) => {
    const pairs = Object.entries({ ...common, ...labels }).map(
      ([label, text]) => `${label}="${quote(text)}"`,
    )
    return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}\n`
  })
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`
}

const quote = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

/** tcpNoConnection → tcp_no_connection. */
const snake = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
