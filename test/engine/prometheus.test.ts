import { expect, test } from 'vitest'
import { formatMetrics } from '../../src/engine/prometheus.ts'
import type { Stats } from '../../src/engine/types.ts'
import { createCounters } from '../../src/stack/counters.ts'
import { readMetrics } from './prometheus-reader.ts'

const STATS: Stats = {
  fromGuest: { frames: 1, octets: 2 },
  toGuest: { frames: 3, octets: 2 ** 40 },
  tcp: {
    opened: 10,
    closed: 4,
    dialsFailed: 5,
    retransmits: 6,
    timeouts: 7,
    challengeAcks: 8,
    keepAlives: 13,
  },
  udp: { opened: 9, closed: 9, evicted: 14 },
  echo: { opened: 2, closed: 1, evicted: 15 },
  drops: {
    ...createCounters().drop,
    tapDown: 0,
    tapFull: 0,
    tapRefused: 0,
    tapShort: 0,
    tcpNoConnection: 11,
  },
  socketsFailed: 12,
}

test('every counter has its place, under names as Prometheus wants them', () => {
  const metrics = readMetrics(formatMetrics(STATS))
  const value = (name: string, labels: Record<string, string> = {}): number | undefined =>
    metrics
      .get(name)
      ?.samples.find((sample) => JSON.stringify(sample.labels) === JSON.stringify(labels))?.value
  expect(value('slipway_frames_total', { direction: 'from_guest' })).toBe(1)
  expect(value('slipway_frame_bytes_total', { direction: 'to_guest' })).toBe(2 ** 40)
  expect(value('slipway_flows_opened_total', { protocol: 'tcp' })).toBe(10)
  expect(value('slipway_flows', { protocol: 'tcp' })).toBe(6)
  expect(value('slipway_flows', { protocol: 'udp' })).toBe(0)
  expect(value('slipway_flows', { protocol: 'icmp' })).toBe(1)
  expect(value('slipway_flows_evicted_total', { protocol: 'udp' })).toBe(14)
  expect(value('slipway_flows_evicted_total', { protocol: 'icmp' })).toBe(15)
  expect(value('slipway_tcp_dials_failed_total')).toBe(5)
  expect(value('slipway_tcp_keep_alives_total')).toBe(13)
  expect(value('slipway_drops_total', { reason: 'tcp_no_connection' })).toBe(11)
  expect(value('slipway_socket_failures_total')).toBe(12)
  for (const [name, { type, help }] of metrics) {
    expect(name).toMatch(/^slipway_[a-z_]+$/)
    expect(name.endsWith('_total')).toBe(type === 'counter')
    expect(help.length).toBeGreaterThan(10)
  }
  expect(metrics.get('slipway_drops_total')!.samples.length).toBe(Object.keys(STATS.drops).length)
})

test('labels of the caller are on each sample, quoted', () => {
  const metrics = readMetrics(formatMetrics(STATS, { container: 'a "b"\\\n' }))
  const samples = [...metrics.values()].flatMap((metric) => metric.samples)
  expect(samples.every(({ labels }) => labels.container === 'a "b"\\\n')).toBe(true)
})
