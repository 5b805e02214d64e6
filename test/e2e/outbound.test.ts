/** --outbound-addr and --outbound-addr6: the host's address that flows go out from. */
import { beforeAll, describe, expect, test } from 'vitest'
import type { Kit } from '../../src/lab/agent.ts'
import { addHostAddress6, address6, GATEWAY6, HOST_ADDRESS6 } from './ipv6.ts'
import { DNS, GATEWAY, HOST_ADDRESS, has, inWorlds, peer } from './lab.ts'
import * as tasks from './tasks.ts'

/** Other addresses of the host (RFC 5737, RFC 3849); its interface out0 has them. */
const OTHER = '192.0.2.77'
const OTHER6 = '2001:db8::77'
const NOT_OURS = '198.51.100.1'

inWorlds((lab) => {
  describe.skipIf(!has('ip'))('by address and by interface', () => {
    beforeAll(async () => {
      await addHostAddress6(lab.host)
      const script = `
        ip link add out0 type veth peer name out1
        ip link set out1 up
        ip link set out0 up
        ip addr add ${OTHER}/32 dev out0
        ip addr add ${OTHER6}/128 dev out0 nodad`
      const { status, stderr } = await lab.host.execute(['sh', '-ec', script])
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    })

    for (const by of [OTHER, 'out0']) {
      test(`--outbound-addr=${by}: servers see that address of TCP`, async () => {
        const { guest } = await lab.attach({ args: [`--outbound-addr=${by}`] })
        const port = await lab.host.run(tasks.serveText, 'seen', HOST_ADDRESS)
        const page = await guest.run(tasks.fetchText, { host: HOST_ADDRESS, port })
        expect(page).toEqual({ text: 'seen', client: OTHER })
      })

      // Upstream's issues #282 and #346.
      test.skipIf(peer)(`--outbound-addr=${by}: and of UDP`, async () => {
        const { guest } = await lab.attach({ args: [`--outbound-addr=${by}`] })
        const port = await lab.host.run(serveUdpClient, HOST_ADDRESS)
        expect(await guest.run(askUdpClient, HOST_ADDRESS, port)).toBe(OTHER)
      })
    }

    test.skipIf(peer)('an interface without a carrier has its addresses, too', async () => {
      const script = `
        ip link add idle0 type veth peer name idle1
        ip link set idle0 up
        ip addr add 192.0.2.79/32 dev idle0
        ip addr add 2001:db8::79/128 dev idle0 nodad`
      expect(await lab.host.execute(['sh', '-ec', script])).toMatchObject({ status: 0, stderr: '' })
      const args = ['-6', '--outbound-addr=idle0', '--outbound-addr6=idle0']
      const { guest } = await lab.attach({ args })
      expect(await address6(guest)).toMatch(/^fd00:/)
      for (const [host, client] of [
        [HOST_ADDRESS, '192.0.2.79'],
        [HOST_ADDRESS6, '2001:db8::79'],
      ] as const) {
        const port = await lab.host.run(tasks.serveText, 'seen', host)
        expect(await guest.run(tasks.fetchText, { host, port })).toEqual({ text: 'seen', client })
      }
    })

    test.skipIf(peer)("the host's loopback is reached as ever, TCP and UDP", async () => {
      const { guest } = await lab.attach({ args: [`--outbound-addr=${OTHER}`] })
      const port = await lab.host.run(tasks.serveText, 'inside')
      const page = await guest.run(tasks.fetchText, { host: GATEWAY, port })
      expect(page).toEqual({ text: 'inside', client: '127.0.0.1' })
      const udp = await lab.host.run(serveUdpClient, '127.0.0.1')
      expect(await guest.run(askUdpClient, GATEWAY, udp)).toBe(OTHER)
    })

    for (const by of [OTHER6, 'out0']) {
      test.skipIf(peer)(`--outbound-addr6=${by}: servers see that of TCP and UDP`, async () => {
        const { guest } = await lab.attach({ args: ['-6', `--outbound-addr6=${by}`] })
        expect(await address6(guest)).toMatch(/^fd00:/)
        const port = await lab.host.run(tasks.serveText, 'seen', HOST_ADDRESS6)
        const page = await guest.run(tasks.fetchText, { host: HOST_ADDRESS6, port })
        expect(page).toEqual({ text: 'seen', client: OTHER6 })
        const udp = await lab.host.run(serveUdpClient, HOST_ADDRESS6)
        expect(await guest.run(askUdpClient, HOST_ADDRESS6, udp)).toBe(OTHER6)
        const local = await lab.host.run(tasks.serveText, 'inside', '::1')
        const inside = await guest.run(tasks.fetchText, { host: GATEWAY6, port: local })
        expect(inside).toEqual({ text: 'inside', client: '::1' })
      })
    }

    test.skipIf(peer)(
      'name servers that are not on the loopback are asked from there',
      async () => {
        const { guest } = await lab.attach({ args: [`--outbound-addr=${OTHER}`] })
        await lab.host.run(serveDnsClient, HOST_ADDRESS)
        const script = `printf 'nameserver ${HOST_ADDRESS}\\n' > /etc/resolv.conf`
        const restore = "printf 'nameserver 127.0.0.1\\n' > /etc/resolv.conf"
        await lab.host.execute(['sh', '-ec', script])
        try {
          expect(await guest.run(askDnsClient, DNS)).toBe(OTHER)
        } finally {
          await lab.host.execute(['sh', '-ec', restore])
        }
      },
    )

    test.skipIf(peer)('more flows than ports have one port towards two servers', async () => {
      const { guest } = await lab.attach({ args: [`--outbound-addr=${OTHER}`] })
      const range = '/proc/sys/net/ipv4/ip_local_port_range'
      const before = await lab.host.run(({ fs }, file) => fs.readFileSync(file, 'utf8'), range)
      const one = await lab.host.run(tasks.serveEcho, HOST_ADDRESS, 9001)
      const two = await lab.host.run(tasks.serveEcho, HOST_ADDRESS, 9002)
      const { status, stderr } = await lab.host.execute(['sh', '-c', `echo 30000 30019 > ${range}`])
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      try {
        const echoed = await Promise.all(
          [one, two].map((port) => guest.run(tasks.exchangeMany, { host: HOST_ADDRESS, port }, 14)),
        )
        expect(echoed).toEqual([14, 14])
      } finally {
        await lab.host.execute(['sh', '-c', `echo ${before.trim()} > ${range}`])
      }
    })

    test.skipIf(peer)('an address that the host does not have: no flow, TCP or UDP', async () => {
      const { guest, daemon } = await lab.attach({ args: [`--outbound-addr=${NOT_OURS}`] })
      const port = await lab.host.run(tasks.serveText, 'seen', HOST_ADDRESS)
      const address = { host: HOST_ADDRESS, port }
      const { outcome } = await guest.run(tasks.tryToConnect, address, 3_000)
      expect(outcome).toBe('ENETUNREACH')
      const udp = await lab.host.run(tasks.serveUdpEcho, HOST_ADDRESS)
      const asked = await guest.run(tasks.exchangeUdp, { host: HOST_ADDRESS, port: udp }, 64, 2_000)
      // To a socket of UDP this is no error, unless it asks for such (IP_RECVERR).
      expect(asked.outcome).toBe('silence')
      expect(daemon.program.running).toBe(true)
    })
  })
})

/** Answers each datagram with the address that it came from. */
function serveUdpClient({ dgram, bind }: Kit, host: string): Promise<number> {
  const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.on('message', (_, from) => socket.send(from.address, from.port, from.address))
  return bind(socket, host)
}

function askUdpClient({ dgram }: Kit, host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
    const done = (text: string): void => {
      clearTimeout(timer)
      socket.close()
      resolve(text)
    }
    const timer = setTimeout(() => done('silence'), 3_000)
    socket.once('message', (text) => done(`${text}`))
    socket.once('error', (error: NodeJS.ErrnoException) => done(`${error.code}`))
    socket.connect(port, host, () => socket.send('who am I?'))
  })
}

/** A name server that answers each question with the address that it came from, behind a message's header. */
async function serveDnsClient({ dgram, bind }: Kit, host: string): Promise<void> {
  const socket = dgram.createSocket('udp4')
  socket.on('message', (question, from) => {
    const header = Buffer.of(question[0]!, question[1]!, 0x80, 3, 0, 0, 0, 0, 0, 0, 0, 0)
    const answer = Buffer.concat([header, Buffer.from(from.address)])
    socket.send(answer, from.port, from.address)
  })
  await bind(socket, host, 53)
}

function askDnsClient({ dgram }: Kit, host: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket('udp4')
    const done = (text: string): void => {
      clearTimeout(timer)
      socket.close()
      resolve(text)
    }
    const timer = setTimeout(() => done('silence'), 3_000)
    socket.once('message', (text) => done(`${text.subarray(12)}`))
    socket.send(Buffer.of(1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0), 53, host)
  })
}
