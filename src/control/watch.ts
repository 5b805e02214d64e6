/** What a run tells of its network: flows and warnings as they happen, and what is asked through the API. */
import type { Network } from '../engine/types.ts'
import type { Served } from './api.ts'
import { type FlowLogFormat, flowLine } from './flow-log.ts'
import { say } from './host.ts'
import type { Log } from './log.ts'

/** Says what happens on stderr: flows in that format, and warnings. */
export function watch(network: Network, log: Log, flowLog: FlowLogFormat | undefined): void {
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
