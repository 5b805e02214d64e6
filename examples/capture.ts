/**
 * Everything that a container says and hears, in a file for tshark or Wireshark.
 *
 *     node scripts/run.mjs examples/capture.ts [FILE]
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { attach } from 'slipway'
import { startContainer } from './container.ts'

const path = process.argv[2] ?? 'capture.pcapng'

const server = createServer((_, response) => response.end('hello from the host\n'))
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const { port } = server.address() as AddressInfo

const container = await startContainer()
const network = await attach({ target: { pid: container.pid }, hostLoopback: true })
try {
  const capture = await network.capture({ path })
  const url = `http://${network.addresses.gateway}:${port}/`
  const fetching = `fetch('${url}').then((r) => r.text()).then((text) => process.stdout.write(text))`
  process.stdout.write(await container.run(process.execPath, '-e', fetching))
  const { frames, dropped } = await capture.stop()
  console.log(`${frames} frames in ${path}, ${dropped} dropped`)
} finally {
  await network.close()
  container.end()
  server.close()
}
