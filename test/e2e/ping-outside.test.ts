/** ICMP echo to hosts outside, by the host's ping sockets. */
import { describe, expect, test } from 'vitest'

import type { Kit } from '../../src/lab/agent.ts'
import { addHostAddress6, address6, HOST_ADDRESS6 } from './ipv6.ts'
import { HOST_ADDRESS, has, inWorlds, type Lab, peer } from './lab.ts'

describe.skipIf(!has('ping') || !has('ip'))('ping to the outside', () => {
  inWorlds((lab) => {
    // First: a namespace begins so, and cannot go back, for it has but one group ID.
    test('where nobody may have ping sockets, the guest is told that it is prohibited', async () => {
      const { status, stdout } = await lab.guest.execute(ping(HOST_ADDRESS))
      expect(status).toBe(1)
      // slirp4netns says that the network is unreachable.
      expect(stdout).toContain(peer ? 'Destination Net Unreachable' : 'Packet filtered')
    })

    test.skipIf(peer)('the same over IPv6', async () => {
      const { guest } = await lab.attach({ args: ['--enable-ipv6'] })
      expect(await address6(guest)).toMatch(/^fd00:/)
      const { stdout } = await guest.execute(ping(HOST_ADDRESS6))
      expect(stdout).toContain('Administratively prohibited')
    })

    test('a host outside answers', async () => {
      await permit(lab)
      const { status, stdout } = await lab.guest.execute(ping(HOST_ADDRESS))
      expect(stdout).toContain('3 received')
      expect(stdout).toMatch(new RegExp(`from ${HOST_ADDRESS}: icmp_seq=3 ttl=`))
      expect(status).toBe(0)
    })

    // libslirp loses them.
    test.skipIf(peer)('large and empty requests are answered whole', async () => {
      await permit(lab)
      for (const length of [0, 1, 1_472, 1_473, 20_000, 65_000]) {
        const command = ping(HOST_ADDRESS, '-s', `${length}`, '-p', 'a55a')
        const { stdout } = await lab.guest.execute(command)
        expect(stdout, `${length} octets`).toContain('3 received')
        expect(stdout).not.toContain('wrong data byte')
      }
    })

    test('guests with the same identifier have their own answers', async () => {
      await permit(lab)
      await lab.guest.execute(['ip', 'address', 'replace', '10.0.2.101/24', 'dev', 'tap0'])
      const both = ['10.0.2.100', '10.0.2.101'].map((address) =>
        lab.guest.execute(ping(HOST_ADDRESS, '-e', '77', '-I', address)),
      )
      for (const { stdout } of await Promise.all(both)) expect(stdout).toContain('3 received')
    })

    test.skipIf(peer)('--outbound-addr: requests go out from there', async () => {
      await permit(lab)
      const address = '127.0.0.77'
      const { guest } = await lab.attach({ args: [`--outbound-addr=${address}`] })
      expect((await guest.execute(ping(HOST_ADDRESS))).stdout).toContain('3 received')
      const sockets = await lab.host.run(({ fs }) => fs.readFileSync('/proc/net/icmp', 'utf8'))
      expect(sockets).toContain('4D00007F:')
    })

    test.skipIf(peer)('--outbound-addr, --outbound-addr6 by interface: the same', async () => {
      await permit(lab)
      await addHostAddress6(lab.host)
      const script = `ip link add ping0 type veth peer name ping1; ip link set ping1 up; ip link set ping0 up
        ip addr add 192.0.2.78/32 dev ping0; ip addr add 2001:db8::78/128 dev ping0 nodad`
      expect(await lab.host.execute(['sh', '-ec', script])).toMatchObject({ status: 0, stderr: '' })
      const args = ['-6', '--outbound-addr=ping0', '--outbound-addr6=ping0']
      const { guest } = await lab.attach({ args })
      expect(await address6(guest)).toMatch(/^fd00:/)
      for (const [host, table, from] of [
        [HOST_ADDRESS, 'icmp', '4E0200C0:'],
        [HOST_ADDRESS6, 'icmp6', 'B80D0120000000000000000078000000:'],
      ] as const) {
        expect((await guest.execute(ping(host))).stdout).toContain('3 received')
        const read = ({ fs }: Kit, path: string) => fs.readFileSync(path, 'utf8')
        expect(await lab.host.run(read, `/proc/net/${table}`)).toContain(from)
      }
    })

    test.skipIf(peer)('a host outside answers over IPv6', async () => {
      await permit(lab)
      await addHostAddress6(lab.host)
      const { guest } = await lab.attach({ args: ['--enable-ipv6'] })
      expect(await address6(guest)).toMatch(/^fd00:/)
      for (const length of [0, 56, 1_401]) {
        const { stdout } = await guest.execute(ping(HOST_ADDRESS6, '-s', `${length}`))
        expect(stdout).toContain('3 received')
      }
    })

    test.skipIf(peer)('--outbound-addr6: requests go out from there', async () => {
      await permit(lab)
      await addHostAddress6(lab.host)
      const address = '2001:db8::77'
      const added = await lab.host.execute(['ip', 'addr', 'replace', `${address}/128`, 'dev', 'lo'])
      expect(added).toMatchObject({ status: 0, stderr: '' })
      const { guest } = await lab.attach({ args: ['-6', `--outbound-addr6=${address}`] })
      expect(await address6(guest)).toMatch(/^fd00:/)
      expect((await guest.execute(ping(HOST_ADDRESS6))).stdout).toContain('3 received')
      const sockets = await lab.host.run(({ fs }) => fs.readFileSync('/proc/net/icmp6', 'utf8'))
      expect(sockets).toContain('B80D0120000000000000000077000000:')
    })
  })
})

/** The world's user may have ping sockets: its group ID is 0 in there. */
async function permit(lab: Lab): Promise<void> {
  await lab.host.run(({ fs }) => fs.writeFileSync('/proc/sys/net/ipv4/ping_group_range', '0 0'))
}

/** The interval is also how long ping waits for the last answer, once it has had others. */
function ping(address: string, ...options: string[]): string[] {
  return ['ping', '-n', '-c', '3', '-i', '0.2', '-W', '2', ...options, address]
}
