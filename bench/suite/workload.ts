/** What a workload is. The programs of all of them (iperf.ts, exchange.ts) know nothing of the daemon between them. */
import type { Namespace, World } from '../../src/lab/world.ts'
import type { Contender, Running } from './contenders/contender.ts'
import type { Effort } from './options.ts'

export interface Metric {
  /** What is measured, where it is not what the workload is called. */
  name: string
  unit: string
  digits: number
  /** Is a smaller number the better one? */
  less?: boolean
}

/** Where a workload runs. */
export interface Place {
  world: World
  contender: Contender
  running: Running
  effort: Effort
  /** Options of iperf3 with which the contender is tried this time. */
  tuning: readonly string[]
}

/** A place in whose container programs of ours can run. */
export type GuestPlace = Place & { running: { guest: Namespace; gateway: string } }

/** What was found: values by metric. */
export interface Found {
  values: Readonly<Record<string, number | undefined>>
  /** What the daemon's processor time went for: 10^9 octets, or exchanges. */
  gigabytes?: number | undefined
  exchanges?: number | undefined
}

export interface Workload {
  /** By which goals and charts find it. */
  id: string
  /** The heading that it stands under. */
  group: string
  name: string
  /** The first says which of two figures of one workload is the better. */
  metrics: Readonly<Record<string, Metric>>
  /** What the contender must offer for it. */
  needs: Access
  /** Also measured by `--quick`. */
  quick?: boolean
  /** Says nothing more at another MTU. */
  once?: boolean
  /** Is measured in so many rounds only: it takes long, and changes little. */
  rounds?: number
  /** Bulk TCP, for which a contender is tried with each of its tunings: always, or where there is time for it. */
  tuned?: 'always' | 'at leisure'
  run(place: Place): Promise<Found>
}

/**
 * The ways in which a contender can be used: not at all (it is only started), by its container through the gateway, by
 * a published port through the TAP, by a published port that is spliced past it.
 */
export type Access = 'start' | 'gateway' | 'forward' | 'spliced'

export const GBIT: Metric = { name: '', unit: 'Gbit/s', digits: 2 }

/** What the daemon used; added to every workload in which there is one. */
export const USAGE_METRICS = {
  cpuPerGigabyte: { name: "the daemon's processor time", unit: 's/GB', digits: 3, less: true },
  cpuPerExchange: {
    name: "the daemon's processor time for each",
    unit: 'µs',
    digits: 1,
    less: true,
  },
  peak: { name: "the daemon's most memory", unit: 'MB', digits: 1, less: true },
} satisfies Record<string, Metric>

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms))
