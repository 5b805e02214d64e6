/** --filtering: whom a UDP port of the guest hears (RFC 4787 §5). */
import { beforeAll, describe, expect, test } from 'vitest'
import { Counters } from './counters.ts'
import { HOST_ADDRESS, has, inWorlds, peer } from './lab.ts'

/** Another host, as far as addresses tell. */
const OTHER = '192.0.2.2'

const HEARD = {
  'endpoint-independent': ['asked', 'another port', 'another host'],
  'address-dependent': ['asked', 'another port'],
  'address-and-port-dependent': ['asked'],
}

describe.skipIf(peer || !has('ip'))('a UDP port of the guest', () => {
  inWorlds((lab) => {
    beforeAll(async () => {
      await lab.host.execute(['ip', 'addr', 'add', `${OTHER}/32`, 'dev', 'lo'])
    })

    for (const [kind, heard] of Object.entries(HEARD)) {
      test(`hears, with ${kind}: ${heard.join(', ')}`, async () => {
        const counters = new Counters(lab)
        const { guest } = await lab.attach({ args: [`--filtering=${kind}`, counters.option] })
        // Whoever is asked has others send as well, to the port that it sees.
        const port = await lab.host.run(
          ({ dgram, bind }, asked, other) => {
            const socket = dgram.createSocket('udp4')
            socket.on('message', (_, from) => {
              const say = (text: string, address: string): void => {
                const stranger = dgram.createSocket('udp4')
                stranger.bind(0, address, () =>
                  stranger.send(text, from.port, asked, () => stranger.close()),
                )
              }
              say('another host', other)
              say('another port', asked)
              setTimeout(() => socket.send('asked', from.port, asked), 300)
            })
            return bind(socket, asked)
          },
          HOST_ADDRESS,
          OTHER,
        )
        const messages = await guest.run(
          ({ dgram }, host, port) =>
            new Promise<string[]>((resolve) => {
              const messages: string[] = []
              const socket = dgram.createSocket('udp4')
              socket.on('message', (message) => {
                messages.push(`${message}`)
                if (`${message}` !== 'asked') return
                socket.close()
                resolve(messages)
              })
              socket.send('?', port, host)
            }),
          HOST_ADDRESS,
          port,
        )
        expect(messages.sort()).toEqual([...heard].sort())
        expect(await counters.drops('udp_filtered')).toBe(3 - heard.length)
      })
    }
  })
})
