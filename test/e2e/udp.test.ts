/** UDP from the container to the host and back. */
import { expect, test } from 'vitest'
import { GATEWAY, HOST_ADDRESS, inWorlds, peer } from './lab.ts'
import { eventually, openDescriptors } from './proc.ts'
import * as tasks from './tasks.ts'

inWorlds((lab) => {
  test("a datagram reaches the host's loopback through the gateway address, and the answer comes from there", async () => {
    const port = await lab.host.run(tasks.serveUdpEcho)
    const answer = await lab.guest.run(tasks.exchangeUdp, { host: GATEWAY, port })
    expect(answer).toMatchObject({ outcome: 'answer', from: `${GATEWAY}:${port}`, equal: true })
  })

  test('a datagram reaches another address of the host', async () => {
    const port = await lab.host.run(tasks.serveUdpEcho, HOST_ADDRESS)
    const answer = await lab.guest.run(tasks.exchangeUdp, { host: HOST_ADDRESS, port })
    expect(answer).toMatchObject({
      outcome: 'answer',
      from: `${HOST_ADDRESS}:${port}`,
      equal: true,
    })
  })

  test('datagrams of every awkward size come back whole, fragmented or not', async () => {
    const port = await lab.host.run(tasks.serveUdpEcho, HOST_ADDRESS)
    for (const length of [0, 1, 1_472, 1_473, 2_952, 2_953, 9_000, 60_000, 65_507]) {
      // libslirp's limit is a little lower.
      if (peer && (length === 0 || length > 60_000)) continue
      const address = { host: HOST_ADDRESS, port }
      const { outcome, equal } = await lab.guest.run(tasks.exchangeUdp, address, length)
      expect({ length, outcome, equal }).toEqual({ length, outcome: 'answer', equal: true })
    }
  })

  test('bursts come back whole and in their order, whatever lengths they mix', async () => {
    const port = await lab.host.run(tasks.serveUdpEcho, HOST_ADDRESS)
    const address = { host: HOST_ADDRESS, port }
    const same = new Array(60).fill(1200)
    const mixed = Array.from(
      { length: 60 },
      (_, i) => [1200, 1200, 1200, 37, 1472, 1473, 900][i % 7]!,
    )
    for (const lengths of [same, mixed]) {
      const came = await lab.guest.run(tasks.burstUdp, address, lengths)
      expect(came).toEqual(lengths.map((_, i) => i))
    }
  })

  test('a closed port is an ICMP port unreachable', async () => {
    const { outcome } = await lab.guest.run(tasks.exchangeUdp, { host: HOST_ADDRESS, port: 9 })
    expect(outcome).toBe('ECONNREFUSED')
  })

  // slirp4netns stays silent.
  test.skipIf(peer)("a closed port of the host's loopback is one, too", async () => {
    const { outcome } = await lab.guest.run(tasks.exchangeUdp, { host: GATEWAY, port: 9 })
    expect(outcome).toBe('ECONNREFUSED')
  })

  test.skipIf(peer)('of an address without a route the guest is told', async () => {
    // Linux tells a UDP socket of it only with IP_RECVERR; that the message came is counted.
    const told = () =>
      lab.guest.run(({ fs }) => {
        const [names, values] = fs.readFileSync('/proc/self/net/snmp', 'utf8').match(/^Icmp:.*$/gm)!
        return Number(values!.split(' ')[names!.split(' ').indexOf('InDestUnreachs')])
      })
    const before = await told()
    await lab.guest.run(({ dgram }, host) => {
      const socket = dgram.createSocket('udp4')
      socket.send('lost', 9, host, () => socket.close())
    }, '198.51.100.7')
    await expect.poll(told, { timeout: 5_000 }).toBe(before + 1)
  })

  test('one socket of the guest has one port at the host, whomever it talks to', async () => {
    const ports = [
      await lab.host.run(tasks.serveUdpReport, HOST_ADDRESS),
      await lab.host.run(tasks.serveUdpReport, HOST_ADDRESS),
    ]
    const seen = await lab.guest.run(tasks.askUdpPorts, HOST_ADDRESS, ports)
    expect(seen).toHaveLength(2)
    expect(seen[0]).toBe(seen[1])
  })

  test('many sockets of the guest at once do not run into each other', async () => {
    const port = await lab.host.run(tasks.serveUdpEcho)
    const before = openDescriptors(lab.daemon.pid)
    const asking = Array.from({ length: 100 }, () =>
      lab.guest.run(tasks.exchangeUdp, { host: GATEWAY, port }),
    )
    for (const { outcome, equal } of await Promise.all(asking)) {
      expect({ outcome, equal }).toEqual({ outcome: 'answer', equal: true })
    }
    expect(await eventually(() => openDescriptors(lab.daemon.pid) <= before + 110)).toBe(true)
  })
})
