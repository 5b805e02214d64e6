/** All workloads, in the order in which they run, and of the table. */
import type { Plan } from './options.ts'
import type { Workload } from './workload.ts'
import { idle, resident } from './workloads/idle.ts'
import { latency } from './workloads/latency.ts'
import { starts } from './workloads/start.ts'
import { published, spliced, tcp } from './workloads/tcp.ts'
import { udp } from './workloads/udp.ts'

export function suiteOf(nodes: readonly string[]): Workload[] {
  return [
    ...starts(nodes),
    resident, // before the daemon has worked
    ...tcp,
    ...published,
    ...spliced,
    ...latency,
    idle,
    ...udp, // last: slirp4netns does not survive the largest
  ]
}

/** Those that the plan asks for. */
export function chosenOf({ groups, quick, nodes }: Plan): Workload[] {
  const all = suiteOf(nodes)
  const known = [...new Set(all.map(({ group }) => group))]
  const unknown = groups?.find((name) => matching(known, name).length === 0)
  if (unknown !== undefined) {
    throw new Error(`cannot use --group ${unknown}: there are ${known.join('; ')}`)
  }
  const wanted = groups?.flatMap((name) => matching(known, name))
  return all.filter((one) => (wanted?.includes(one.group) ?? true) && (!quick || one.quick))
}

/** A group's own name, or else all that begin so: `udp` is both of UDP's. */
function matching(known: readonly string[], text: string): string[] {
  const lower = text.toLowerCase()
  const exact = known.filter((name) => name.toLowerCase() === lower)
  return exact.length > 0 ? exact : known.filter((name) => name.toLowerCase().startsWith(lower))
}
