/**
 * A network on the main thread, for the command: the data plane with Node's own loop alive beside it.
 *
 * Node's epoll fd is one of ours (sys/node-loop.ts). While nothing of Node's is ready, this turns the
 * data plane within one callback of Node's; as soon as something is, it returns to Node, which runs
 * its timers, signals and sockets and comes back by `setImmediate`. Node's timers do not show in its
 * epoll fd, so Node has its turn every NODE_INTERVAL in any case; where nothing at all happens, more and more seldom.
 */

import type { Handler } from '../nat/reactor.ts'
import type { Decision } from '../policy/decisions.ts'
import type { Policy } from '../policy/policy.ts'
import { EPERM, EPOLLIN } from '../sys/constants.ts'
import { must } from '../sys/errors.ts'
import * as io from '../sys/io.ts'
import { nodeLoopFd } from '../sys/node-loop.ts'
import { addressesOf, formatAddresses, type SubnetAddresses } from './addresses.ts'
import { openPlane } from './open.ts'
import type { DataPlane } from './plane.ts'
import type {
  Addresses,
  CaptureOptions,
  Ending,
  Forwards,
  Interest,
  Network,
  NetworkOptions,
  Observer,
  Stats,
} from './types.ts'

/** The most, in ms, by which a timer of Node's is late. */
const NODE_INTERVAL = 250
/** The same after some time in which nothing has happened. */
const IDLE_INTERVAL = 1_000

/** Opens the TAP and lets traffic flow. Rejects with everything undone. */
export async function startNetwork(options: NetworkOptions): Promise<Network> {
  const onGone = (error: Error): void => network.end('tap-gone', error)
  const plane = await openPlane(options, 'command', onGone, () => false)
  const network = new MainThreadNetwork(
    plane,
    addressesOf(options.cidr.network, options.cidr.prefix),
  )
  try {
    network.start()
  } catch (error) {
    plane.close()
    throw error
  }
  return network
}

class MainThreadNetwork implements Network, Handler {
  token = -1
  isPending = false
  readonly addresses: Addresses
  readonly tapFd: number
  readonly forwards: Forwards
  readonly closed: Promise<Ending>
  readonly #plane: DataPlane
  #resolveClosed!: (ending: Ending) => void
  #isClosed = false
  /** Something of Node's is ready. */
  #isNodeReady = false
  /** How many events Node's loop has seen (libuv's metrics). */
  #nodeEvents = -1
  #interval = NODE_INTERVAL

  constructor(plane: DataPlane, addresses: SubnetAddresses) {
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    this.#plane = plane
    this.addresses = formatAddresses(addresses)
    this.tapFd = plane.tapFd
    const { forwards } = plane
    this.forwards = {
      add: async (forward) => forwards.add(forward),
      list: async () => forwards.list(),
      remove: async (id) => forwards.remove(id),
    }
  }

  start(): void {
    // Level-triggered: as long as Node has not served what is ready, we come back to it.
    const fd = nodeLoopFd()
    must(this.#plane.reactor.add(fd, EPOLLIN, this), 'epoll_ctl', "cannot wait for Node's loop")
    setImmediate(this.#run)
  }

  /** Node's epoll fd is ready. */
  ready(_events: number): void {
    this.#isNodeReady = true
  }

  readonly #run = (): void => {
    if (this.#isClosed) return
    this.#isNodeReady = false
    const { reactor } = this.#plane
    // What Node's callbacks ask for is put into its epoll set with its next turn, not before: after
    // one in which it did something, it has another before anybody sleeps.
    const { events } = performance.nodeTiming.uvMetricsInfo
    const limit = events === this.#nodeEvents ? performance.now() + this.#interval : 0
    this.#nodeEvents = events
    let turns = 0
    try {
      do {
        this.#plane.turn(limit)
        turns++
      } while (!this.#isNodeReady && !this.#isClosed && reactor.now < limit)
    } catch (error) {
      this.end('failed', error as Error)
    }
    const isIdle = turns === 1 && !this.#isNodeReady && limit > 0
    this.#interval = isIdle ? Math.min(IDLE_INTERVAL, 2 * this.#interval) : NODE_INTERVAL
    if (!this.#isClosed) setImmediate(this.#run)
  }

  watchHangup(fd: number, callback: () => void): boolean {
    const { reactor } = this.#plane
    if (!io.isOpen(fd)) return false
    const handler: Handler = {
      token: -1,
      isPending: false,
      ready: () => {
        reactor.remove(handler)
        this.#isNodeReady = true // what the callback promises is kept by Node
        callback()
      },
    }
    // No event is asked for: EPOLLHUP and EPOLLERR are always told, octets on it never.
    const result = reactor.add(fd, 0, handler)
    if (result !== -EPERM) must(result, 'epoll_ctl', `cannot wait for descriptor ${fd}`)
    return true
  }

  stats(): Stats {
    return this.#plane.stats()
  }

  recordDecisions(): void {
    this.#plane.egress?.record(true)
  }

  decisions(): Decision[] {
    return this.#plane.egress?.decisions.take() ?? []
  }

  setPolicy(policy: Policy): void {
    this.#plane.setPolicy(policy)
  }

  capture(options: CaptureOptions): void {
    this.#plane.captures.start(options)
  }

  observe(observer: Observer, interest: Interest): void {
    this.#plane.observe(observer, interest)
  }

  async close(): Promise<void> {
    this.end('closed')
  }

  end(reason: Ending['reason'], error?: Error): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#plane.close()
    this.#resolveClosed(error === undefined ? { reason } : { reason, error })
  }
}
