/** ICMP echo: the gateway and the name server answer themselves. */
import { describe, expect, test } from 'vitest'
import { DNS, GATEWAY, has, inWorlds } from './lab.ts'

describe.skipIf(!has('ping'))('ping', () => {
  inWorlds((lab) => {
    for (const [name, address] of [
      ['gateway', GATEWAY],
      ['name server', DNS],
    ] as const) {
      test(`the ${name} answers`, async () => {
        const { status, stdout } = await lab.guest.execute(ping(address))
        expect(stdout).toContain('3 received')
        expect(status).toBe(0)
      })
    }

    test('a fragmented echo request is answered whole', async () => {
      const { stdout } = await lab.guest.execute(ping(GATEWAY, '-s', '4000'))
      expect(stdout).toContain('3 received')
    })

    test('an address of the subnet that nobody has does not answer', async () => {
      const { status } = await lab.guest.execute(ping('10.0.2.77'))
      expect(status).toBe(1)
    })
  })
})

function ping(address: string, ...options: string[]): string[] {
  return ['ping', '-n', '-q', '-c', '3', '-i', '0.01', '-W', '1', ...options, address]
}
