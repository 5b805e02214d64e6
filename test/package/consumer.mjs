/** A program of somebody else, run by each version of Node: what was installed attaches to a container and carries traffic. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { attach, SlipwayError } from 'slipway'
import { Station } from 'slipway/stack'

const require = createRequire(import.meta.url)
assert.equal(require('slipway').attach, attach)
assert.equal(require('slipway/stack').Station, Station)
assert.equal(require('slipway/package.json').name, 'slipway')
assert.ok(Object.keys(await import('slipway/policy')).length > 0)
assert.equal(typeof require('slipway/policy.schema.json'), 'object')
const maps = readFileSync('/proc/self/maps', 'utf8')
assert.ok(!maps.includes('koffi'), 'importing loads no native code')
assert.ok(!Object.keys(require.cache).some((path) => path.includes('koffi')))

const container = spawn(
  'unshare',
  ['--user', '--map-root-user', '--net', 'sh', '-c', 'echo ready; exec cat'],
  { stdio: ['pipe', 'pipe', 'inherit'] },
)
await once(container.stdout, 'data')
const inside = (script) =>
  execFileSync(
    'nsenter',
    [
      '--preserve-credentials',
      '-U',
      '-n',
      '-t',
      `${container.pid}`,
      process.execPath,
      '-e',
      script,
    ],
    { encoding: 'utf8' },
  )
const network = await attach({ target: { pid: container.pid } })
try {
  const { cidr } = JSON.parse(inside('console.log(JSON.stringify(os.networkInterfaces().tap0[0]))'))
  assert.equal(cidr, '10.0.2.100/24')
  // In a process of its own: this one has to answer.
  const server = await network.listen({ port: 80 }, (socket) => socket.end('hello'))
  const client = spawn('nsenter', [
    ...['--preserve-credentials', '-U', '-n', '-t', `${container.pid}`, process.execPath, '-e'],
    "require('net').connect(80, '10.0.2.2').pipe(process.stdout)",
  ])
  const [text] = await once(client.stdout, 'data')
  assert.equal(`${text}`, 'hello')
  await server.close()
  assert.equal((await network.stats()).tcp.opened, 1)
} finally {
  await network.close()
  container.stdin.end()
}
assert.deepEqual(await network.closed, { reason: 'closed' })
await assert.rejects(network.stats(), (error) => {
  return error instanceof SlipwayError && error.code === 'ERR_NETWORK_CLOSED'
})
console.log(`Node ${process.versions.node}: imported, required, attached`)
