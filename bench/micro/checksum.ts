/** stack/wire/checksum.ts: sums by length. */
import * as checksum from '../../src/stack/wire/checksum.ts'
import { type Bench, callAt } from './bench.ts'
import { GUEST, HOST, makeMemory } from './memory.ts'

const { bytes, view } = makeMemory()

export const benches: readonly Bench[] = [
  ...[20, 64, 1480, 65_495].map((len) =>
    callAt(`checksum: sum of ${len.toLocaleString('en')} octets`, (at) =>
      checksum.sum(bytes, view, at, at + len),
    ),
  ),
  callAt("checksum: a pseudo-header's sum, folded", (at) =>
    checksum.finish(checksum.pseudo4(HOST, GUEST ^ at, 6, 1460)),
  ),
]
