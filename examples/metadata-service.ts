/**
 * A metadata service at 169.254.169.254, as clouds have it: the program itself is that host on the container's network. It
 * knows its client by the network that the connection came through, and nobody else can connect.
 *
 *     node scripts/run.mjs examples/metadata-service.ts
 */
import { createServer } from 'node:http'
import { attach } from 'slipway'
import { startContainer } from './container.ts'

const metadata: Record<string, string> = { '/role': 'builder', '/token': 'for this container only' }

const web = createServer((request, response) => {
  const value = metadata[request.url ?? '']
  response.writeHead(value === undefined ? 404 : 200).end(value)
  console.log(`${request.socket.remoteAddress} asked for ${request.url}`)
})

const container = await startContainer()
const network = await attach({ target: { pid: container.pid } })
try {
  await network.listen(
    { address: '169.254.169.254', port: 80, name: 'metadata.internal' },
    (socket) => web.emit('connection', socket),
  )
  const ask = `
    const resolver = new (require('dns').promises.Resolver)()
    resolver.setServers(['${network.addresses.dns}'])
    resolver.resolve4('metadata.internal').then(async ([address]) => {
      for (const path of ['/role', '/token', '/other']) {
        const response = await fetch('http://' + address + path)
        console.log(address, path, response.status, await response.text())
      }
    })`
  process.stdout.write(await container.run(process.execPath, '-e', ask))
} finally {
  await network.close()
  container.end()
}
