/**
 * One port of the host for many containers: an HTTP proxy that goes by the name that is asked for, and dials into the
 * container of that name. The containers publish nothing, and may all use the same port.
 *
 *     node scripts/run.mjs examples/reverse-proxy.ts
 */
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { attach, type Network } from 'slipway'
import { type Container, startContainer } from './container.ts'

/** Connections into one container; those that are idle are used again. */
class ContainerAgent extends Agent {
  readonly #network: Network

  constructor(network: Network) {
    super({ keepAlive: true })
    this.#network = network
  }

  override createConnection(
    _options: object,
    callback: (error: Error | null, stream?: Duplex) => void,
  ): undefined {
    this.#network.connect({ port: 80, timeout: 5_000 }).then(
      (stream) => callback(null, stream),
      (error: Error) => callback(error),
    )
  }
}

const agents = new Map<string, Agent>()

const proxy = createServer((incoming, outgoing) => {
  const [name = ''] = (incoming.headers.host ?? '').split('.')
  const agent = agents.get(name)
  if (agent === undefined) return void outgoing.writeHead(404).end('no such container\n')
  const { method, url, headers } = incoming
  const inner = request({ agent, method, path: url, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(outgoing)
  })
  inner.on('error', (error) => {
    if (!outgoing.headersSent) outgoing.writeHead(502)
    outgoing.end(`${error.message}\n`)
  })
  incoming.pipe(inner)
})
await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
const { port } = proxy.address() as AddressInfo

const containers: Container[] = []
const networks: Network[] = []
try {
  for (const name of ['blue', 'green']) {
    const container = await startContainer()
    containers.push(container)
    const network = await attach({ target: { pid: container.pid } })
    networks.push(network)
    agents.set(name, new ContainerAgent(network))
    await container.start(
      process.execPath,
      '-e',
      `require('http').createServer((request, response) =>
         response.end('${name} has ' + request.url + '\\n')).listen(80, () => console.log('ready'))`,
    )
  }
  for (const name of ['blue', 'green', 'blue', 'red']) {
    process.stdout.write(await get(`${name}.localhost`, '/page'))
  }
} finally {
  for (const agent of agents.values()) agent.destroy()
  for (const network of networks) await network.close()
  for (const container of containers) container.end()
  proxy.close()
}

/** A page of the proxy, by the name that it is asked for. */
function get(host: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = request({ port, path, headers: { host } }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part) => {
        text += part
      })
      response.on('end', () => resolve(text))
    })
    asking.on('error', reject).end()
  })
}
