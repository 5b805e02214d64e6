/**
 * One run, from checked settings to an exit status.
 *
 *   start the network ─► banner ─► API socket ─► sandbox, seccomp ─► watch the exit-fd ─► "1" to the ready-fd
 *   ─► wait for an end ─► close
 *
 * Ends, and the exit status of each: exit-fd hangs up, SIGTERM, SIGINT: 0. The TAP is deleted, the network fails,
 * the start fails: 1, with the reason on stderr. On every way out, a crash too, the API socket is unlinked.
 */

import { closeSync, openSync, writeSync } from 'node:fs'
import type { Ending, Network, NetworkOptions, StartNetwork } from '../engine/types.ts'
import type { ApiServer } from './api-server.ts'
import type { Settings } from './arguments.ts'
import type { EgressWatch } from './egress.ts'
import { isInherited, say, strerror } from './host.ts'
import { Log } from './log.ts'
import type { MetricsServer } from './metrics-server.ts'
import { banner, ownVersion } from './texts.ts'
import { logged, watch } from './watch.ts'

/** How long a network may take to close. Ours: callers wait for our end (Podman for each container). */
const CLOSE_TIMEOUT = 1_000

/** Ours, in ms: how often one looks at the exit-fd as long as there is no network that does. */
const LOOK = 50

/** Runs until the end. Never rejects; the result is the exit status. */
export async function run(settings: Settings, start: StartNetwork): Promise<number> {
  // First of all: what is opened from here on would be taken for the caller's.
  const hasExitFd = settings.exitFd !== undefined && isInherited(settings.exitFd)
  let confine: Awaited<ReturnType<typeof loadConfinement>>
  try {
    // Before anybody listens for signals: of one that comes just before a second start, that would know nothing.
    confine = await loadConfinement(settings, hasExitFd)
  } catch (error) {
    say(2, `${describe(error)}\n`)
    return 1
  }
  const log = new Log(settings.observation.logLevel)
  const end = withResolvers<number>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    // Not once: another signal, on the way out, would end us with another status.
    process.on(signal, () => {
      log.say('info', `ends by ${signal}`)
      end.resolve(0)
    })
  }
  // Neither a signal handler nor a raw descriptor of the engine keeps Node alive.
  const alive = setInterval(() => {}, 0x7fffffff)

  const hangUp = () => {
    say(2, 'exitfd event\n')
    end.resolve(0)
  }

  let network: Network | undefined
  let api: ApiServer | undefined
  let metrics: MetricsServer | undefined
  let egress: EgressWatch | undefined
  try {
    const policed = await loadEgress(settings)
    const signalReady = await loadReady(settings)
    const starting = start(policed?.network ?? settings.network)
    // A signal does not wait for a start. If that fails afterwards, nobody is told any more.
    starting.catch(() => {})
    // Neither does a caller who has gone: with BESS one may wait for long.
    const looking = await lookAtExitFd(settings, hangUp)
    network = await Promise.race([starting, end.promise.then(() => undefined)])
    clearInterval(looking)
    if (network) {
      const { exitFd } = settings
      announce(settings, network)
      watch(network, log, settings.observation)
      egress = policed?.watch(network, log)
      api = await openApi(settings, network, log)
      metrics = await openMetrics(settings, network)
      const folders = [api?.folder, metrics?.folder].filter((folder) => folder !== undefined)
      confine?.(settings, folders)
      network.closed.then((ending) => end.resolve(explain(ending)))
      if (exitFd !== undefined) watchExitFd(exitFd, hasExitFd, network, hangUp)
      signalReady()
    }
    return await end.promise
  } catch (error) {
    say(2, `${describe(error)}\n`)
    return 1
  } finally {
    api?.close()
    metrics?.close()
    if (network) await within(CLOSE_TIMEOUT, network.close())
    egress?.close()
    clearInterval(alive)
  }
}

/**
 * With --enable-sandbox or --enable-seccomp: what puts this process into them. Between the start of the network and
 * that, Node's loop does not turn once, so that no octet of a guest is seen outside.
 */
async function loadConfinement(
  { sandbox, seccomp, network, readyFd, exitFd }: Settings,
  hasExitFd: boolean,
): Promise<typeof import('./confine.ts').confine | undefined> {
  if (!sandbox && !seccomp) return undefined
  const { confine, enterUserns } = await import('./confine.ts')
  if (sandbox) {
    const kept = [0, 1, 2]
    if (readyFd !== undefined) kept.push(readyFd)
    if (exitFd !== undefined && hasExitFd) kept.push(exitFd)
    if ('fd' in network.target) kept.push(network.target.fd)
    await enterUserns(network.target, kept)
  }
  return confine
}

/** Loaded only when it is asked for: it brings the list of public suffixes with it. */
async function loadEgress({
  egress,
  network,
}: Settings): Promise<
  { network: NetworkOptions; watch: (network: Network, log: Log) => EgressWatch } | undefined
> {
  if (egress === undefined) return undefined
  const { EgressWatch, readPolicyFile } = await import('./egress.ts')
  const policy = readPolicyFile(egress.policy)
  return {
    network: { ...network, egress: { policy } },
    watch: (network, log) => new EgressWatch(network, log, egress, policy),
  }
}

/** Loaded only when it is asked for: it brings Node's sockets with it. */
async function openApi(
  { apiSocket }: Settings,
  network: Network,
  log: Log,
): Promise<ApiServer | undefined> {
  if (apiSocket === undefined) return undefined
  const { serveApi } = await import('./api-server.ts')
  const server = await serveApi(apiSocket, logged(network, log), {
    log: (request, answer) => log.say('debug', `API: ${request.trim()} → ${answer}`),
  })
  process.once('exit', server.close)
  return server
}

/** Loaded only when it is asked for: it brings HTTP with it. */
async function openMetrics(
  { observation: { metrics: address } }: Settings,
  network: Network,
): Promise<MetricsServer | undefined> {
  if (address === undefined) return undefined
  const { serveMetrics } = await import('./metrics-server.ts')
  const server = await serveMetrics(address, ownVersion(), () => network.stats())
  process.once('exit', server.close)
  return server
}

function announce({ network: options, apiSocket }: Settings, network: Network): void {
  if (network.tapFd !== undefined && !('bess' in options.target)) {
    if (!('fd' in options.target)) say(2, `sent tapfd=${network.tapFd} for ${options.tapName}\n`)
    say(2, `received tapfd=${network.tapFd}\n`)
  }
  say(1, banner(options, network.addresses, apiSocket))
}

/** While a BESS peer is waited for. Ends by itself when the descriptor hangs up. */
async function lookAtExitFd(
  { exitFd, network: { target } }: Settings,
  hangUp: () => void,
): Promise<NodeJS.Timeout | undefined> {
  if (exitFd === undefined || !('bess' in target)) return undefined
  const { isHungUp } = await import('../sys/io.ts')
  const looking = setInterval(() => {
    if (!isHungUp(exitFd)) return
    clearInterval(looking)
    hangUp()
  }, LOOK)
  return looking
}

/** A descriptor that was never open counts as hung up, as upstream has it (POLLNVAL). */
function watchExitFd(fd: number, isOpen: boolean, network: Network, hangUp: () => void): void {
  if (!isOpen || !network.watchHangup(fd, hangUp)) hangUp()
}

/**
 * What tells the caller that we are ready. It waits for an octet; the end of file without it tells it that we have failed.
 * Of stdin, stdout and stderr something must stay open: else the number is the next socket's, and our words are the
 * guest's.
 */
async function loadReady({ readyFd: fd }: Settings): Promise<() => void> {
  if (fd === undefined) return () => {}
  let end = () => closeSync(fd)
  if (fd <= 2) {
    const { replace } = await import('../sys/io.ts')
    const nothing = openSync('/dev/null', 'r+')
    end = () => {
      replace(fd, nothing)
      closeSync(nothing)
    }
  }
  return () => {
    try {
      writeSync(fd, '1')
      end()
    } catch (error) {
      throw new Error(`cannot write to ready-fd ${fd}: ${strerror(error)}`, { cause: error })
    }
  }
}

function explain({ reason, error }: Ending): number {
  if (reason === 'closed') return 0
  const why = error ? describe(error) : reason === 'tap-gone' ? 'the TAP is gone' : 'unknown reason'
  say(2, `cannot go on: ${why}\n`)
  return 1
}

/** An error of the system or of the caller's making in one line; one of our own making with its stack. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const isOurs = error instanceof TypeError || error instanceof ReferenceError
  return isOurs ? (error.stack ?? error.message) : error.message
}

/** Waits for `task`, but not longer than `ms`, and for its result not at all. */
async function within(ms: number, task: Promise<void>): Promise<void> {
  const timeout = withResolvers<void>()
  const timer = setTimeout(timeout.resolve, ms)
  await Promise.race([task.catch(() => {}), timeout.promise])
  clearTimeout(timer)
}

/** Promise.withResolvers, which Node 20 has not. */
function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
