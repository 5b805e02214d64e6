/**
 * Containers of two hosts on one network of their own, as flannel and Usernetes make it: VXLAN (RFC 7348) in UDP port
 * 8472, which each host publishes for its container.
 *
 *   container ── daemon ── host 203.0.113.1 ── veth ── 203.0.113.2 host ── daemon ── container
 *   172.20.0.1 ════════════════════════════ VXLAN ══════════════════════════════ 172.20.0.2
 *   pod 172.21.1.2                                                           pod 172.21.2.2
 *
 * The pods are network namespaces behind the containers, for which these route.
 */
import { spawnSync } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Kit } from '../../src/lab/agent.ts'
import type { Daemon } from '../../src/lab/daemon.ts'
import type { Namespace, World } from '../../src/lab/world.ts'
import { has, inWorlds } from './lab.ts'

const VXLAN_PORT = 8472
const SIZE = 64 << 20

/** One side of it: the host's address, the container, and its address within. */
interface Side {
  host: Namespace
  address: string
  container: Namespace
  daemon: Daemon
  inside: string
  pod: Namespace
  podAddress: string
}

/** A kernel may be built without it. */
function knowsVxlan(): boolean {
  const link = ['link', 'add', 'probe', 'type', 'vxlan', 'id', '1', 'dstport', `${VXLAN_PORT}`]
  const place = ['--user', '--map-root-user', '--net', 'ip']
  const { stderr } = spawnSync('unshare', [...place, ...link], { encoding: 'utf8' })
  return !/unknown device type|not supported/i.test(stderr)
}

const isPossible = has('ip') && has('ping') && knowsVxlan()

describe.skipIf(!isPossible)('VXLAN between the containers of two hosts', () => {
  inWorlds((lab) => {
    // At 65520, and so where it is fragmented on the hosts' link, and with what fits through a link of 1500.
    for (const mtu of [1500, 65520]) {
      describe(`MTU ${mtu}`, () => {
        let sides: [Side, Side]
        let other: Namespace

        beforeAll(async () => {
          other = await lab.world.inner(lab.host)
          await joinHosts(lab.host, other)
          const one = await startSide(lab.world, lab.host, mtu, 1)
          const two = await startSide(lab.world, other, mtu, 2)
          await addTunnel(one, two, mtu)
          await addTunnel(two, one, mtu)
          sides = [one, two]
        })

        afterAll(async () => {
          for (const { pod, container, daemon } of sides ?? []) {
            await pod.close()
            await lab.world.remove(container, daemon)
          }
          await ip(lab.host, 'link del wire')
        })

        test('ping, also of what is larger than a frame', async () => {
          const [{ container }, { inside }] = sides
          for (const size of ['56', '4000', '30000']) {
            const ping = [
              'ping',
              '-n',
              '-q',
              '-c',
              '5',
              '-i',
              '0.05',
              '-W',
              '2',
              '-s',
              size,
              inside,
            ]
            const { stdout } = await container.execute(ping)
            expect(stdout).toContain('5 received')
          }
        })

        test('64 MiB arrive as they were sent, each way', { timeout: 60_000 }, async () => {
          const [one, two] = sides
          await transfer(one.container, one.inside, two.container)
          await transfer(two.container, two.inside, one.container)
        })

        test('64 MiB arrive between pods behind them, each way', { timeout: 60_000 }, async () => {
          const [one, two] = sides
          await transfer(one.pod, one.podAddress, two.pod)
          await transfer(two.pod, two.podAddress, one.pod)
        })
      })
    }
  })
})

async function transfer(from: Namespace, address: string, to: Namespace): Promise<void> {
  const sent = await from.run(serveRandom, address, SIZE)
  const got = await to.run(download, address, sent.port)
  expect(got).toEqual({ sha256: sent.sha256, length: SIZE })
}

async function ip(place: Namespace, line: string): Promise<void> {
  const { status, stderr } = await place.execute(['ip', ...line.split(' ')])
  if (status !== 0) throw new Error(`ip ${line}: ${stderr.trim()}`)
}

async function joinHosts(one: Namespace, two: Namespace): Promise<void> {
  await ip(one, `link add wire type veth peer name wire netns ${two.pid}`)
  for (const [host, address] of [
    [one, '203.0.113.1'],
    [two, '203.0.113.2'],
  ] as const) {
    await ip(host, `addr add ${address}/24 dev wire`)
    await ip(host, 'link set wire up')
  }
  await ip(two, 'link set lo up')
}

async function startSide(world: World, host: Namespace, mtu: number, n: number): Promise<Side> {
  const container = await world.container({ host })
  const daemon = await world.attach(container, { mtu })
  await daemon.forward({ proto: 'udp', hostPort: VXLAN_PORT, guestPort: VXLAN_PORT })
  const pod = await world.inner(container)
  const subnet = `172.21.${n}`
  await ip(container, `link add pod type veth peer name eth0 netns ${pod.pid}`)
  await ip(container, `addr add ${subnet}.1/24 dev pod`)
  await ip(container, `link set pod mtu ${mtu - 50} up`)
  await ip(pod, `addr add ${subnet}.2/24 dev eth0`)
  await ip(pod, `link set eth0 mtu ${mtu - 50} up`)
  await ip(pod, `route add default via ${subnet}.1`)
  await container.run(({ fs }) => fs.writeFileSync('/proc/sys/net/ipv4/ip_forward', '1'))
  const address = `203.0.113.${n}`
  const inside = `172.20.0.${n}`
  return { host, address, container, daemon, inside, pod, podAddress: `${subnet}.2` }
}

async function addTunnel(side: Side, to: Side, mtu: number): Promise<void> {
  const { container, inside } = side
  const remote = `remote ${to.address} dstport ${VXLAN_PORT}`
  await ip(container, `link add flannel.1 type vxlan id 1 dev tap0 ${remote}`)
  await ip(container, `addr add ${inside}/24 dev flannel.1`)
  // 50 octets of Ethernet, IPv4, UDP and VXLAN headers.
  await ip(container, `link set flannel.1 mtu ${mtu - 50} up`)
  await ip(container, `route add ${to.podAddress}/32 via ${to.inside}`)
}

/** Serves `size` octets once; answers where, and what they are. */
async function serveRandom(
  { crypto, net, listen }: Kit,
  host: string,
  size: number,
): Promise<{ port: number; sha256: string }> {
  const octets = crypto.randomBytes(size)
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.end(octets)
    server.close()
  })
  const sha256 = crypto.createHash('sha256').update(octets).digest('hex')
  return { port: await listen(server, host), sha256 }
}

function download(
  { crypto, net }: Kit,
  host: string,
  port: number,
): Promise<{ length: number; sha256: string }> {
  return new Promise((resolve, reject) => {
    const hash = crypto.createHash('sha256')
    let length = 0
    const socket = net.connect(port, host)
    socket.on('data', (part: Buffer) => {
      hash.update(part)
      length += part.length
    })
    socket.once('end', () => resolve({ length, sha256: hash.digest('hex') }))
    socket.once('error', reject)
    socket.setTimeout(20_000, () => socket.destroy(new Error(`stuck after ${length} octets`)))
  })
}
