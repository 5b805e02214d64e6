/** Programs that know nothing of us: curl and iperf3. (dig is in dns.test.ts, ping in ping.test.ts.) */
import { describe, expect, test } from 'vitest'
import type { Namespace } from '../../src/lab/world.ts'
import { GATEWAY, HOST_ADDRESS, has, inWorlds, peer } from './lab.ts'

inWorlds((lab) => {
  test.skipIf(!has('curl'))('curl downloads, uploads and is refused', async () => {
    const port = await lab.host.run(({ http, crypto, listen }) =>
      listen(
        http.createServer((request, response) => {
          const hash = crypto.createHash('sha1')
          request.on('data', (part) => hash.update(part))
          request.on('end', () => response.end(hash.digest('hex')))
        }),
      ),
    )
    const url = `http://${GATEWAY}:${port}/`
    const empty = 'da39a3ee5e6b4b0d3255bfef95601890afd80709'
    expect(await lab.guest.execute(['curl', '-sS', url])).toMatchObject({
      status: 0,
      stdout: empty,
    })

    const file = process.execPath
    const upload = await lab.guest.execute(['curl', '-sS', '-T', file, url])
    const { stdout } = await lab.host.execute(['sha1sum', file])
    expect(upload).toMatchObject({ status: 0, stdout: stdout.split(' ')[0] })

    const refused = await lab.guest.execute(['curl', '-sS', `http://${HOST_ADDRESS}:9/`])
    expect(refused.status).toBe(7)
  })

  describe.skipIf(!has('iperf3'))('iperf3', () => {
    const port = 5201

    async function iperf(place: Namespace, host: string, ...options: string[]): Promise<number> {
      const command = ['iperf3', '-c', host, '-p', `${port}`, '-t', '1', '-J', ...options]
      const { status, stdout } = await place.execute(command)
      const report = JSON.parse(stdout)
      expect(report.error).toBeUndefined()
      expect(status).toBe(0)
      return (report.end.sum_received ?? report.end.sum).bits_per_second / 1e6
    }

    test('sends and receives TCP, with one and with many streams', {
      timeout: 30_000,
    }, async () => {
      const server = lab.host.start(['iperf3', '-s', '-p', `${port}`])
      await new Promise((resolve) => setTimeout(resolve, 200))
      for (const options of [[], ['-R'], ['-P', '8'], ['-P', '8', '-R'], ['--bidir']]) {
        expect(await iperf(lab.guest, GATEWAY, ...options)).toBeGreaterThan(100)
      }
      server.kill()
      await server.ended
    })

    // libslirp loses many of them.
    test.skipIf(peer)(
      'sends and receives UDP at 20 Mbit/s without much loss',
      { timeout: 30_000 },
      async () => {
        const server = lab.host.start(['iperf3', '-s', '-p', `${port}`])
        await new Promise((resolve) => setTimeout(resolve, 200))
        for (const options of [[], ['-R']]) {
          const command = ['iperf3', '-c', GATEWAY, '-t', '1', '-J', '-u', '-b', '20M', ...options]
          const report = JSON.parse((await lab.guest.execute(command)).stdout)
          expect(report.error).toBeUndefined()
          expect(report.end.sum.lost_percent).toBeLessThan(5)
        }
        server.kill()
        await server.ended
      },
    )

    test('reaches a server in the container through a published port', {
      timeout: 30_000,
    }, async () => {
      const server = lab.guest.start(['iperf3', '-s', '-p', '5000'])
      await new Promise((resolve) => setTimeout(resolve, 200))
      await lab.daemon.forward({ hostPort: port, guestPort: 5000 })
      for (const options of [[], ['-R']]) {
        expect(await iperf(lab.host, HOST_ADDRESS, ...options)).toBeGreaterThan(100)
      }
      server.kill()
      await server.ended
    })
  })
})
