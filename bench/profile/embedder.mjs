/**
 * A program that gives a container its network with the library, and so has the data plane in a worker. Its command line is
 * as much of slirp4netns' as src/lab/daemon.ts uses; `--forward HOST:GUEST` publishes a port.
 */
import { closeSync, createReadStream, writeSync } from 'node:fs'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    configure: { type: 'boolean', short: 'c' },
    mtu: { type: 'string' },
    'ready-fd': { type: 'string', short: 'r' },
    'exit-fd': { type: 'string', short: 'e' },
    'api-socket': { type: 'string', short: 'a' },
    forward: { type: 'string' },
  },
})
// The library's worker takes no options of Node from its program; here it is to have the profiler's.
const workers = createRequire(import.meta.url)('node:worker_threads')
workers.Worker = class extends workers.Worker {
  constructor(file, options) {
    super(file, options.name === 'slipway' ? { ...options, execArgv: process.execArgv } : options)
  }
}
syncBuiltinESMExports()

const { attach } = await import(process.env.SLIPWAY_INDEX)
const network = await attach({
  target: { pid: Number(positionals[0]) },
  mtu: Number(values.mtu),
  hostLoopback: true,
})
const [hostPort, guestPort] = values.forward.split(':').map(Number)
await network.forwards.add({ hostAddress: '0.0.0.0', hostPort, guestPort })
const ready = Number(values['ready-fd'])
writeSync(ready, '1')
closeSync(ready)
createReadStream('', { fd: Number(values['exit-fd']) })
  .on('close', () => network.close())
  .resume()
