/** `--target-type=bess`: Ethernet over a socket of packets, by a small switch (bess-bridge.py) whose other port is a TAP. */
import * as fs from 'node:fs'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { Daemon } from '../../src/lab/daemon.ts'
import type { Program } from '../../src/lab/program.ts'
import { address6, GATEWAY6 } from './ipv6.ts'
import { DNS, GATEWAY, HOST_ADDRESS, has, inWorlds, peer } from './lab.ts'
import { cpuMs } from './proc.ts'
import * as tasks from './tasks.ts'

const BRIDGE = fileURLToPath(new URL('bess-bridge.py', import.meta.url))
/** Nothing, and then a question (ARP) whose answer shows that somebody is still there. */
const EMPTY_PACKET = `
import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
s.settimeout(2)
mac = bytes([2, 0, 0, 0, 0, 1])
arp = bytes.fromhex("0806 0001 0800 0604 0001") + mac + bytes([10, 0, 2, 100]) + bytes(6) + bytes([10, 0, 2, 2])
s.send(b"")
s.send(b"\\xff" * 6 + mac + arp)
while True:
    frame = s.recv(65536)
    if frame[12:14].hex() == "0806": break
print(frame[12:14].hex(), flush=True)
s.shutdown(socket.SHUT_WR)
time.sleep(1)
`
let count = 0

inWorlds((lab) => {
  const start = (path: string): Daemon =>
    lab.world.daemon(undefined, {
      configure: false,
      mtu: 9000,
      args: ['--target-type=bess', '--enable-ipv6'],
      operands: [path],
    })

  const isListening = (path: string) =>
    expect.poll(() => fs.existsSync(path), { timeout: 10_000 }).toBe(true)

  async function joined(): Promise<{ path: string; daemon: Daemon; bridge: Program }> {
    const path = join(lab.world.directory, `bess-${++count}`)
    const daemon = start(path)
    await isListening(path)
    const bridge = lab.guest.start(['python3', BRIDGE, path, `bess${count}`])
    await daemon.ready
    return { path, daemon, bridge }
  }

  test.skipIf(peer)('a hang-up of the exit-fd ends the waiting for a client', async () => {
    const path = join(lab.world.directory, `bess-${++count}`)
    const { program } = start(path)
    await isListening(path)
    ;(program.child.stdio[4] as Duplex).destroy()
    const ended = await Promise.race([program.ended, delay(2_000)])
    expect(ended).toMatchObject({ status: 0, stderr: 'exitfd event\n' })
    expect(fs.existsSync(path)).toBe(false)
  })

  test.skipIf(peer || !has('python3'))(
    'a packet without octets is no end, and half a close is one',
    async () => {
      const path = join(lab.world.directory, `bess-${++count}`)
      const daemon = start(path)
      await isListening(path)
      const client = lab.guest.start(['python3', '-c', EMPTY_PACKET, path])
      expect((await client.ended).stdout).toBe('0806\n')
      const ended = await Promise.race([daemon.program.ended, delay(2_000)])
      expect(ended).toMatchObject({ status: 1, stderr: expect.stringContaining('has gone') })
    },
  )

  test.skipIf(!has('python3') || !has('ip'))(
    'a kernel behind a switch has its network',
    {
      timeout: 60_000,
    },
    async () => {
      const guest = await lab.world.container()
      const path = join(lab.world.directory, `bess-${++count}`)
      const daemon = start(path)
      await isListening(path)
      const bridge = guest.start(['python3', BRIDGE, path, 'tap0'])
      await daemon.ready
      expect(fs.existsSync(path)).toBe(false) // it is for one
      const configured = await guest.execute([
        ...['sh', '-ec'],
        `ip link set lo up
       ip link set tap0 mtu 9000 up
       ip addr add 10.0.2.100/24 dev tap0
       ip route add default via ${GATEWAY}`,
      ])
      expect(configured).toMatchObject({ status: 0, stderr: '' })
      const echo = await lab.host.run(tasks.serveEcho)
      const address = { host: GATEWAY, port: echo }
      expect(await guest.run(tasks.exchange, address, 'through a switch')).toBe('through a switch')
      const udp = await lab.host.run(tasks.serveUdpEcho, HOST_ADDRESS)
      const answer = await guest.run(tasks.exchangeUdp, { host: HOST_ADDRESS, port: udp }, 30_000)
      expect(answer).toMatchObject({ outcome: 'answer', equal: true })
      const octets = 16 << 20
      const bulk = await lab.host.run(tasks.serveBulk, octets)
      const got = await guest.run(tasks.bulk, { host: GATEWAY, port: bulk }, octets)
      const served = await lab.host.run(tasks.bulkServed)
      expect([got.received, got.sent]).toEqual([served.sent, served.received])
      const page = await guest.run(tasks.serveText, 'behind a switch', '0.0.0.0')
      const port = 24_000 + count
      await daemon.forward({ hostPort: port, guestPort: page })
      const { text } = await lab.host.run(tasks.fetchText, { host: HOST_ADDRESS, port })
      expect(text).toBe('behind a switch')
      expect(daemon.program.stdout).toContain(`* DNS:             ${DNS}`)

      const guest6 = await address6(guest)
      expect(guest6).toMatch(/^fd00:/)
      const [tcp6, udp6] = [tasks.serveEcho, tasks.serveUdpEcho]
      const echo6 = { host: GATEWAY6, port: await lab.host.run(tcp6, '::1') }
      expect(await guest.run(tasks.exchange, echo6, 'IPv6')).toBe('IPv6')
      const there6 = { host: GATEWAY6, port: await lab.host.run(udp6, '::1') }
      const answer6 = await guest.run(tasks.exchangeUdp, there6, 30_000)
      expect(answer6).toMatchObject({ outcome: 'answer', equal: true })
      const page6 = await guest.run(tasks.serveText, 'behind a switch, too', '::')
      const forward6 = { proto: 'tcp6', hostPort: port + 500, guestPort: page6 } as const
      // Of whom there is more than one behind a switch.
      await expect(daemon.forward(forward6)).rejects.toThrow('its MAC address is not known')
      await daemon.forward({ ...forward6, guestAddr: guest6 })
      const fetched = await lab.host.run(tasks.fetchText, { host: '::1', port: port + 500 })
      expect(fetched.text).toBe('behind a switch, too')
      bridge.kill()
      await guest.close()
    },
  )

  // slirp4netns goes on, in a busy loop.
  test.skipIf(peer || !has('python3'))('it ends when the switch goes, and says so', async () => {
    const { daemon, bridge } = await joined()
    bridge.kill('SIGKILL')
    const { status, stderr } = await daemon.program.ended
    expect(status).toBe(1)
    expect(stderr).toContain('the peer of the BESS socket has gone')
  })

  test.skipIf(peer)(
    'waiting for a switch takes no time of the processor, and a signal ends it',
    async () => {
      const path = join(lab.world.directory, `bess-${++count}`)
      const daemon = start(path)
      await isListening(path)
      const before = cpuMs(daemon.pid)
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      expect(cpuMs(daemon.pid) - before).toBeLessThan(100)
      daemon.program.kill('SIGTERM')
      expect(await daemon.program.ended).toMatchObject({ status: 0 })
      expect(fs.existsSync(path)).toBe(false)
    },
  )

  test.skipIf(peer)('a socket that is there is replaced, another file is not', async () => {
    const path = join(lab.world.directory, `bess-${++count}`)
    const first = start(path)
    await isListening(path)
    first.program.kill('SIGKILL')
    await first.program.ended
    const made = () => fs.lstatSync(path, { throwIfNoEntry: false, bigint: true })?.ctimeNs ?? 0n
    const before = made()
    const second = start(path)
    await expect.poll(made, { timeout: 10_000 }).toBeGreaterThan(before)
    second.program.kill('SIGTERM')
    await second.program.ended
    fs.writeFileSync(path, 'precious')
    const { status, stderr } = await start(path).program.ended
    expect([status, stderr]).toEqual([
      1,
      `cannot listen on ${path}: it is there, and not a socket\n`,
    ])
    expect(fs.readFileSync(path, 'utf8')).toBe('precious')
  })
})
