/** All workloads, in the order of the table. */
import type { Workload } from './workload.ts'
import { connections, life } from './workloads/idle.ts'
import { latency } from './workloads/latency.ts'
import { published, tcp } from './workloads/tcp.ts'
import { udp } from './workloads/udp.ts'

export const suite: readonly Workload[] = [
  ...life, // first: afterwards the daemon has worked
  ...tcp,
  ...published,
  ...latency,
  ...connections,
  ...udp, // last: slirp4netns does not survive the largest
]
