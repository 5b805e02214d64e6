/** stack/flow-table.ts: from a 4-tuple to what handles it. */
import { FlowTable, KEY_WORDS, type Keyed, key4 } from '../../src/stack/flow-table.ts'
import { type Bench, call } from './bench.ts'
import { GUEST, HOST } from './memory.ts'

const flowOf = (i: number): Keyed => {
  const key = new Int32Array(KEY_WORDS)
  key4(key, GUEST, 1024 + (i % 60_000), HOST + Math.floor(i / 60_000), 443)
  return { key }
}

const flowOf6 = (i: number): Keyed => ({
  key: Int32Array.of(0xfd000000, 0, 0, 0x64, 0xfd000000, 0, 0, 2, ((1024 + i) << 16) | 443),
})

/** A table, and a function that looks its flows up in an order that the processor cannot foresee. */
function lookUp(count: number, make: (i: number) => Keyed): () => unknown {
  const table = new FlowTable<Keyed>(0x1234567)
  const flows = Array.from({ length: count }, (_, i) => make(i))
  for (const flow of flows) table.add(flow)
  let i = 0
  return () => {
    i = (i + 7919) % count
    return table.get(flows[i]!.key)
  }
}

function comeAndGo(): () => unknown {
  const table = new FlowTable<Keyed>(0x1234567)
  for (let i = 0; i < 1000; i++) table.add(flowOf(i))
  const more = Array.from({ length: 64 }, (_, i) => flowOf(2000 + i))
  let i = 0
  return () => {
    i = (i + 1) & 63
    const flow = more[i]!
    table.add(flow)
    table.delete(flow)
    return flow
  }
}

function miss(): () => unknown {
  const table = new FlowTable<Keyed>(0x1234567)
  for (let i = 0; i < 1000; i++) table.add(flowOf(i))
  const others = Array.from({ length: 64 }, (_, i) => flowOf(5000 + i).key)
  let i = 0
  return () => {
    i = (i + 1) & 63
    return table.get(others[i]!)
  }
}

export const benches: readonly Bench[] = [
  ...[1, 1000, 100_000].map((count) =>
    call(`demux: one of ${count.toLocaleString('en')} flows`, lookUp(count, flowOf)),
  ),
  call('demux: one of 1,000 flows, IPv6', lookUp(1000, flowOf6)),
  call('demux: no flow, among 1,000', miss()),
  call('demux: a flow comes and goes, beside 1,000', comeAndGo()),
]
