/** Which addresses lead to the host's loopback, and that none does with --disable-host-loopback. */
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Kit } from '../../src/lab/agent.ts'
import { addHostAddress6, address6, DNS6, GATEWAY6, HOST_ADDRESS6 } from './ipv6.ts'
import { DNS, GATEWAY, GUEST, HOST_ADDRESS, has, inWorlds, type Pair, peer } from './lab.ts'

const KNOCK = fileURLToPath(new URL('knock.py', import.meta.url))

/** What may mean the host itself to a socket of the host, or everybody. */
const LOOPBACKS = [
  ...['127.0.0.1', '127.0.0.53', '127.255.255.254', '127.255.255.255', '0.0.0.0', '0.0.0.1'],
  ...['255.255.255.255', '224.0.0.1', '239.1.2.3', '240.0.0.1', '10.0.2.255', '10.0.2.0'],
  ...['::1', '::', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:0.0.0.0', `::ffff:${HOST_ADDRESS}`],
  ...['fe80::1', 'fe80::2', 'ff01::1', 'ff02::1', 'ff05::2', 'fd00::', 'fd00::1'],
]
/** Of the DNS address only port 53 is served. */
const OURS = [GATEWAY, DNS, GATEWAY6, DNS6]
const OUTSIDE = [HOST_ADDRESS, HOST_ADDRESS6]

// slirp4netns takes 127.0.0.1 for what it says.
describe.skipIf(peer || !has('python3') || !has('ip'))('a knock at each address', () => {
  inWorlds((lab) => {
    beforeAll(() => addHostAddress6(lab.host))

    /** Whom of the host's a guest has reached, by TCP and by UDP. */
    async function reached({ guest }: Pair): Promise<string[]> {
      const guest6 = await address6(guest)
      const port = await lab.host.run(listenEverywhere)
      const command = ['python3', KNOCK, 'tap0', `${port}`, GUEST, guest6]
      // What comes last has come when all has.
      const all = [...LOOPBACKS, ...OURS, ...OUTSIDE]
      expect(await guest.execute([...command, ...all])).toMatchObject({ status: 0, stderr: '' })
      const heard = () => lab.host.run(({ keep }) => [...(keep.get('heard') as Set<string>)])
      await expect.poll(heard).toContain(`udp ${HOST_ADDRESS6}`)
      await expect.poll(heard).toContain(`tcp ${HOST_ADDRESS6}`)
      return (await heard()).toSorted()
    }

    const outside = OUTSIDE.flatMap((at) => [`tcp ${at}`, `udp ${at}`])

    test('by default the gateway’s lead to 127.0.0.1 and ::1, and no other does', async () => {
      const pair = await lab.attach({ args: ['--enable-ipv6'] })
      expect(await reached(pair)).toEqual(
        [
          ...outside,
          ...['tcp 127.0.0.1', 'tcp ::1', `udp ${GATEWAY}`, `udp ${GATEWAY6}`],
        ].toSorted(),
      )
    })

    test('with --disable-host-loopback none does', async () => {
      const pair = await lab.attach({ args: ['--enable-ipv6', '--disable-host-loopback'] })
      expect(await reached(pair)).toEqual(outside.toSorted())
    })

    // What is sent to 0.0.0.0:PORT of the host is for whoever listens there: a guest's datagram socket, too.
    test('with --disable-host-loopback the loopback does not reach a guest’s socket either', async () => {
      for (const [args, isAnswered] of [
        [[], true],
        [['--disable-host-loopback'], false],
      ] as const) {
        const { guest } = await lab.attach({ args })
        const port = await lab.host.run(reportPort, HOST_ADDRESS)
        const seen = await guest.run(openSocket, HOST_ADDRESS, port)
        await lab.host.run(sendTo, '127.0.0.1', Number(seen))
        await lab.host.run(sendTo, HOST_ADDRESS, Number(seen))
        await expect.poll(() => guest.run(heardBy)).toContain(`at ${HOST_ADDRESS}`)
        expect((await guest.run(heardBy)).includes('at 127.0.0.1')).toBe(isAnswered)
      }
    })
  })
})

/** TCP and UDP at one port of all addresses; what they hear is kept as `heard`. */
async function listenEverywhere({ net, dgram, listen, bind, keep }: Kit): Promise<number> {
  const heard = new Set<string>()
  keep.set('heard', heard)
  const server = net.createServer((socket) => {
    heard.add(`tcp ${socket.localAddress?.replace('::ffff:', '')}`)
    socket.on('error', () => {})
    socket.destroy()
  })
  const port = await listen(server, '::')
  const socket = dgram.createSocket('udp6')
  socket.on('message', (text) => heard.add(`udp ${text}`))
  await bind(socket, '::', port)
  return port
}

/** Answers a datagram with the port that it came from. */
function reportPort({ dgram, bind }: Kit, host: string): Promise<number> {
  const socket = dgram.createSocket('udp4')
  socket.on('message', (_, from) => socket.send(`${from.port}`, from.port, from.address))
  return bind(socket, host)
}

/** Opens a socket, which stays; answers its port at the host. What it hears is kept. */
function openSocket({ dgram, keep }: Kit, host: string, port: number): Promise<string> {
  const socket = dgram.createSocket('udp4')
  const heard: string[] = []
  keep.set('heard', heard)
  socket.send('?', port, host)
  return new Promise((resolve) => {
    socket.on('message', (text) => {
      heard.push(`${text}`)
      resolve(`${text}`)
    })
  })
}

function heardBy({ keep }: Kit): string[] {
  return keep.get('heard') as string[]
}

/** To the same port at an address of the host, from that address. */
async function sendTo({ dgram, bind }: Kit, host: string, port: number): Promise<void> {
  const socket = dgram.createSocket('udp4')
  await bind(socket, host)
  await new Promise((resolve) => socket.send(`at ${host}`, port, host, resolve))
  socket.close()
}
