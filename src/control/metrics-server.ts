/**
 * --metrics: the counters for Prometheus, over HTTP, on a TCP port or a Unix socket. GET / and GET /metrics answer; a client
 * that is slow or silent is dropped, and holds up nobody.
 */
import { createServer } from 'node:http'
import { formatAll, formatMetrics, type Metric, PROMETHEUS_TYPE } from '../engine/prometheus.ts'
import type { Stats } from '../engine/types.ts'
import type { Folder } from '../sys/folder.ts'
import { openSocket } from './api-server.ts'
import type { MetricsAddress } from './metrics-address.ts'

/** Ours. */
const TIMEOUT = 5_000
const MAX_CLIENTS = 16

export interface MetricsServer {
  /** Of a Unix socket, where it is. */
  readonly folder: Folder | undefined
  /** Synchronous, so that it may be called when the process exits. Calling it again does nothing. */
  close(): void
}

/** Serves what `stats` gives. Rejects with the cause when it cannot listen there. */
export async function serveMetrics(
  address: MetricsAddress,
  version: string,
  stats: () => Stats,
): Promise<MetricsServer> {
  const server = createServer(
    { requestTimeout: TIMEOUT, keepAliveTimeout: TIMEOUT },
    (ask, answer) => {
      const isKnown = ask.url === '/' || ask.url === '/metrics'
      if (ask.method !== 'GET' && ask.method !== 'HEAD') {
        answer.writeHead(405, { allow: 'GET, HEAD' }).end()
      } else if (!isKnown) answer.writeHead(404).end()
      else {
        const text = formatMetrics(stats()) + formatAll(processMetrics(version))
        answer.writeHead(200, { 'content-type': PROMETHEUS_TYPE }).end(text)
      }
    },
  )
  server.maxConnections = MAX_CLIENTS
  server.on('clientError', (_, socket) => socket.destroy())
  const where = 'path' in address ? address.path : `${address.host} port ${address.port}`
  try {
    if ('path' in address) {
      const { folder, release } = await openSocket(server, address.path)
      return { folder, close: closing(() => server.closeAllConnections(), release) }
    }
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(address.port, address.host, resolve)
    })
    server.on('error', () => {}) // accept() that fails costs that client, not the server
    return {
      folder: undefined,
      close: closing(
        () => server.closeAllConnections(),
        () => server.close(),
      ),
    }
  } catch (error) {
    const why = ((error as Error).cause ?? error) as NodeJS.ErrnoException
    throw new Error(`cannot serve metrics on ${where}: ${why.code ?? why.message}`, {
      cause: error,
    })
  }
}

function closing(...steps: (() => void)[]): () => void {
  let isClosed = false
  return () => {
    if (isClosed) return
    isClosed = true
    for (const step of steps) step()
  }
}

/** By the names that every exporter has them under. What the sandbox does not let us know is left out. */
function processMetrics(version: string): Metric[] {
  const metrics: Metric[] = [
    {
      name: 'slipway_build_info',
      type: 'gauge',
      help: 'Always 1: its label is what counts.',
      samples: [[{ version }, 1]],
    },
    {
      name: 'process_start_time_seconds',
      type: 'gauge',
      help: 'When the process started, since 1970.',
      samples: [[{}, performance.timeOrigin / 1000]],
    },
  ]
  const add = (name: string, type: Metric['type'], help: string, value: () => number): void => {
    try {
      metrics.push({ name, type, help, samples: [[{}, value()]] })
    } catch {
      // Neither getrusage(2) nor /proc has to be there.
    }
  }
  add('process_cpu_seconds_total', 'counter', 'Processor time, user and system.', () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  add('process_resident_memory_bytes', 'gauge', 'Memory that is in use.', () =>
    process.memoryUsage.rss(),
  )
  return metrics
}
