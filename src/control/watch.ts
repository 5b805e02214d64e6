/** What a run tells of its network: flows and warnings as they happen, and what is asked through the API. */
import type { Network } from '../engine/types.ts'
import type { Served } from './api.ts'
import { flowLine } from './flow-log.ts'
import { say } from './host.ts'
import type { Log } from './log.ts'
import type { Observation } from './values.ts'

/** Starts the capture, and says what happens on stderr: flows in that format, and warnings. Throws when it cannot. */
export function watch(network: Network, log: Log, { flowLog, pcap }: Observation): void {
  if (pcap !== undefined) network.capture({ path: pcap, snapLength: WHOLE })
  const interest = { flows: flowLog !== undefined, warnings: log.has('warning') }
  if (!interest.flows && !interest.warnings) return
  const format = flowLog ?? 'text'
  network.observe(
    {
      flowOpened: (flow) => say(2, flowLine(format, flow)),
      flowClosed: (flow) => say(2, flowLine(format, flow)),
      warned: ({ message }) => log.say('warning', message),
    },
    interest,
  )
}

/** More than any frame has. */
const WHOLE = 262_144

/** The same network, with a line for each port that is published and each that is not any more. */
export function logged({ forwards }: Served, log: Log): Served {
  return {
    forwards: {
      async add(wanted) {
        try {
          const forward = await forwards.add(wanted)
          const { id, proto, hostAddr, hostPort, guestAddr, guestPort } = forward
          const ends = `${hostAddr} port ${hostPort} → ${guestAddr} port ${guestPort}`
          log.say('info', `published port ${id}: ${proto} ${ends}`)
          return forward
        } catch (error) {
          log.say('info', (error as Error).message)
          throw error
        }
      },
      list: () => forwards.list(),
      async remove(id) {
        const isRemoved = await forwards.remove(id)
        if (isRemoved) log.say('info', `published port ${id} is free again`)
        return isRemoved
      },
    },
  }
}
