/**
 * A program of somebody else, type-checked against the package that was installed, as strictly as it goes. It says once what
 * every type of the API is, and is never run; consumer.mjs is.
 */
import { createServer } from 'node:http'
import type { Duplex } from 'node:stream'
import {
  type AttachOptions,
  attach,
  type Capture,
  type ClosedFlow,
  type Ending,
  type ErrorCode,
  type Forward,
  formatMetrics,
  type Network,
  type NetworkServer,
  type NetworkSocket,
  type NetworkUdpSocket,
  SlipwayError,
  type Stats,
} from 'slipway'
import type { Policy } from 'slipway/policy'
import { Station, type Stream } from 'slipway/stack'

export type Reach = Policy

export async function main(pid: number): Promise<void> {
  const options: AttachOptions = { target: { pid }, mtu: 65520, signal: AbortSignal.timeout(1000) }
  const network: Network = await attach(options)
  const web: Forward = await network.forwards.add({ guestPort: 80, hostPort: undefined })
  console.log(web.hostPort.toFixed(), network.addresses.guest.length)
  network.on('flow-close', (flow: ClosedFlow) => console.log(flow.reason satisfies string))
  network.once('warning', ({ code, count }) => console.log(code, count.toFixed()))
  const stats: Stats = await network.stats()
  console.log(formatMetrics(stats, { container: 'web' }))
  const capture: Capture = await network.capture({ path: '/dev/null' })
  console.log((await capture.stop()).frames.toFixed())

  const http = createServer()
  const server: NetworkServer = await network.listen({ port: 80, name: 'a.b' }, (socket) => {
    http.emit('connection', socket)
  })
  server.on('connection', (socket: NetworkSocket) => void socket.setTimeout(1000).unref())
  for await (const socket of server) console.log(socket.remoteAddress.length)
  const stream: Duplex = await network.connect({ port: 80, host: '10.0.2.100' })
  stream.end('hello')
  const udp: NetworkUdpSocket = await network.bind()
  udp.on('message', (octets: Buffer, { address, port }) => udp.send(octets, port, address))

  try {
    await network.close()
  } catch (error) {
    if (error instanceof SlipwayError) console.log(error.code satisfies ErrorCode)
  }
  const ending: Ending = await network.closed
  console.log(ending.reason === 'tap-gone' ? ending.error?.message : '')

  // @ts-expect-error: there is no such option
  await attach({ target: { pid }, nothing: true })
  // @ts-expect-error: the target is missing
  await attach({})
}

export function stack(): Stream {
  const station = new Station({ address: '192.0.2.1/24', random: () => 4, transmit: () => {} })
  return station.connect(
    { address: '192.0.2.2', port: 80 },
    { open: (stream) => stream.finish() },
    0,
  )
}
