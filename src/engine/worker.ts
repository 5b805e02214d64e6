/**
 * A network on a thread of its own, for the library: this file is what that thread runs.
 *
 * From the moment it is ready it sleeps in epoll_wait and in nothing else: no timer, Promise or message port of Node's is
 * ever served here. It is woken by the eventfd, and reads its port itself.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { Handler } from '../nat/reactor.ts'
import { EPOLLIN } from '../sys/constants.ts'
import { must } from '../sys/errors.ts'
import * as io from '../sys/io.ts'
import {
  type Commands,
  type Failure,
  failureOf,
  IDLE,
  PHASE,
  type Report,
  type Request,
  RUNNING,
  STOP,
  type Start,
} from './messages.ts'
import { openPlane } from './open.ts'
import type { DataPlane } from './plane.ts'
import type { Ending, Happening, Observer } from './types.ts'

/**
 * Ours: the longest sleep, in ms. Node cannot interrupt a system call, so this is how long a thread that was not woken
 * (its program is a worker that somebody terminates, or calls process.reallyExit) can hold up the end.
 */
const LONGEST_SLEEP = 250

const port = parentPort!
const { options, wakeFd, flags } = workerData as Start

let ending: { reason: Ending['reason']; failure?: Failure } | undefined

/** What has happened in this turn. */
const happenings: Happening[] = []
/** Decisions that were reported last were read. */
let areDecisionsTaken = true
const observer: Observer = {
  flowOpened: (flow) => void happenings.push({ kind: 'flow-open', flow }),
  flowClosed: (flow) => void happenings.push({ kind: 'flow-close', flow }),
  warned: (warning) => void happenings.push({ kind: 'warning', warning }),
}

void run()

async function run(): Promise<void> {
  Atomics.store(flags, PHASE, RUNNING)
  // From here on either we see the flag, or who sets it sees that we are to be waited for.
  const isStopped = (): boolean => Atomics.load(flags, STOP) !== 0
  try {
    if (!isStopped()) await attachAndServe(isStopped)
  } catch (error) {
    end('failed', error)
  } finally {
    Atomics.store(flags, PHASE, IDLE)
    Atomics.notify(flags, PHASE)
  }
  report({ kind: 'ended', ...(ending ?? { reason: 'closed' }) })
}

async function attachAndServe(isStopped: () => boolean): Promise<void> {
  const onGone = (error: Error): void => end('tap-gone', error)
  const plane = await openPlane(options, 'program', onGone, isStopped)
  try {
    serve(plane)
  } finally {
    plane.close()
    areDecisionsTaken = true
    reportDecisions(plane)
    reportHappenings()
  }
}

function serve(plane: DataPlane): void {
  const { forwards } = plane
  const commands: Commands = {
    add: (forward) => forwards.add(forward),
    list: () => forwards.list(),
    remove: (id) => forwards.remove(id),
    stats: () => plane.stats(),
    capture: (options) => plane.captures.start(options),
    stopCapture: (id) => plane.captures.stop(id),
    observe: (interest) => plane.observe(observer, interest),
    useRings: (rings) => plane.useRings(rings, () => report({ kind: 'rung' })),
    listen: (options) => plane.endpoints!.listen(options),
    unlisten: (id) => plane.endpoints!.unlisten(id),
    setPolicy: (policy) => plane.setPolicy(policy),
    recordDecisions: (isOn) => plane.egress?.record(isOn),
    takeDecisions: () => {
      areDecisionsTaken = true
    },
    answerHook: (id, verdict) => plane.egress?.answer(id, verdict, plane.reactor.now),
  }
  if (plane.egress !== undefined) {
    plane.egress.listener = {
      asked: (question) => report({ kind: 'asked', question }),
      withdrawn: (id) => report({ kind: 'withdrawn', id }),
    }
  }
  const alarm: Handler = {
    token: -1,
    isPending: false,
    ready: () => {
      io.eventfdDrain(wakeFd)
      for (;;) {
        const received = receiveMessageOnPort(port)
        if (received === undefined) return plane.endpoints?.look()
        report(answer(commands, received.message))
      }
    },
  }
  const added = plane.reactor.add(wakeFd, EPOLLIN, alarm)
  must(added, 'epoll_ctl', 'cannot wait for the main thread')
  report({ kind: 'ready' })
  while (ending === undefined && Atomics.load(flags, STOP) === 0) {
    plane.turn(performance.now() + LONGEST_SLEEP)
    reportDecisions(plane)
    reportHappenings()
  }
}

function answer(commands: Commands, { id, name, args }: Request): Report {
  try {
    const command = commands[name] as (...args: unknown[]) => unknown
    return { kind: 'answer', id, value: command(...args) }
  } catch (error) {
    return { kind: 'refusal', id, failure: failureOf(error) }
  }
}

/** No more before the last ones were read: until then they become one here. */
function reportDecisions({ egress }: DataPlane): void {
  if (egress === undefined || !areDecisionsTaken || egress.decisions.isEmpty) return
  areDecisionsTaken = false
  report({ kind: 'decided', decisions: egress.decisions.take() })
}

function reportHappenings(): void {
  if (happenings.length > 0) report({ kind: 'happened', happenings: happenings.splice(0) })
}

function end(reason: Ending['reason'], error: unknown): void {
  ending ??= { reason, failure: failureOf(error) }
}

function report(message: Report): void {
  port.postMessage(message)
}
