/** Published ports of rootless Podman, with both of its port handlers; pods, and containers that meet on the host. */
import { describe, expect, test } from 'vitest'
import { HOST, INTERNET_NAME } from './closed-world.ts'
import { peer } from './lab.ts'
import { type Answer, GATEWAY, GUEST, IMAGE, withPodman } from './podman.ts'
import { askHttp, askUdp } from './tasks.ts'

withPodman([], (lab, podman) => {
  const http = async (host: string, port: number): Promise<Answer> =>
    JSON.parse(await lab.world.host.run(askHttp, host, port))
  const udp = async (host: string, port: number): Promise<Answer> =>
    JSON.parse(await lab.world.host.run(askUdp, host, port))

  /** What the container sees of a client on another machine, on the host's own address, and on its loopback. */
  const seen = {
    // RootlessKit's connects anew, within the container's network.
    rootlesskit: { outside: GUEST, host: GUEST, loopback: GUEST },
    // libslirp gives the client's own address, but for loopback.
    slirp4netns: { outside: '192.0.2.254', host: HOST, loopback: GATEWAY },
  }

  for (const [handler, expected] of Object.entries(seen)) {
    describe(`port_handler=${handler}`, () => {
      const network = ['--network', `slirp4netns:port_handler=${handler}`]

      test('TCP: clients on another machine, on the host and on its loopback', async () => {
        await podman.serve('web', [...network, '-p', '8080:80'])
        const outside = JSON.parse(await lab.world.internet.run(askHttp, HOST, 8080))
        expect(outside).toEqual({ name: 'web', client: expected.outside })
        expect(await http(HOST, 8080)).toEqual({ name: 'web', client: expected.host })
        expect(await http('127.0.0.1', 8080)).toEqual({ name: 'web', client: expected.loopback })
      })

      test('UDP: clients on another machine and on the host', async () => {
        await podman.serve('web', [...network, '-p', '8080:80/udp'])
        const outside = JSON.parse(await lab.world.internet.run(askUdp, HOST, 8080))
        expect(outside).toEqual({ name: 'web', client: expected.outside })
        expect(await udp(HOST, 8080)).toEqual({ name: 'web', client: expected.host })
      })

      test('ranges, several ports, and a host address', async () => {
        const ports = ['-p', '8079-8080:79-80', '-p', '127.0.0.1:9000:80', '-p', '9001:80/udp']
        await podman.serve('web', [...network, ...ports])
        expect((await http(HOST, 8080)).name).toBe('web')
        expect((await http('127.0.0.1', 9000)).name).toBe('web')
        await expect(http(HOST, 9000)).rejects.toThrow('ECONNREFUSED')
        expect((await udp(HOST, 9001)).name).toBe('web')
      })

      test('a restart publishes the ports again', async () => {
        await podman.serve('web', [...network, '-p', '8080:80'])
        await podman.succeed(['restart', '--time', '0', 'web'])
        await podman.serves('web')
        expect((await http(HOST, 8080)).name).toBe('web')
        await podman.succeed(['stop', '--time', '0', 'web'])
        await expect(http(HOST, 8080)).rejects.toThrow('ECONNREFUSED')
      })

      test('a port that is taken is an error that names it, and leaves nothing behind', async () => {
        await podman.serve('web', [...network, '-p', '8080:80'])
        const again = ['run', '--rm', ...network, '-p', '8080:80', IMAGE, 'true']
        const { status, stderr } = await podman.execute(again)
        expect(status).not.toBe(0)
        expect(stderr).toMatch(
          handler === 'rootlesskit' ? /8080.*address already in use/ : /hostfwd/,
        )
        if (handler === 'slirp4netns' && !peer) expect(stderr).toContain('EADDRINUSE')
        expect((await http(HOST, 8080)).name).toBe('web')
      })

      test('two containers meet through ports of the host only', async () => {
        await podman.serve('one', [...network, '-p', '8081:80'])
        await podman.serve('two', [...network, '-p', '8082:80'])
        expect((await podman.fetch('one', `http://${HOST}:8082/`)).name).toBe('two')
        expect((await podman.fetch('two', `http://${HOST}:8081/`)).name).toBe('one')
        // Each has the same address: that is its own.
        expect((await podman.fetch('one', `http://${GUEST}/`)).name).toBe('one')
        expect((await podman.fetch('two', `http://${GUEST}/`)).name).toBe('two')
      })

      test('the containers of a pod share its localhost, its ports and one daemon', async () => {
        await podman.succeed(['pod', 'create', '--name', 'pod', ...network, '-p', '8080:80'])
        await podman.serve('web', ['--pod', 'pod'])
        await podman.serve('inner', ['--pod', 'pod'], ['127.0.0.1', '3000'])
        expect(await lab.daemons()).toHaveLength(1)
        expect((await podman.fetch('web', 'http://127.0.0.1:3000/')).name).toBe('inner')
        expect((await podman.fetch('inner', 'http://127.0.0.1/')).name).toBe('web')
        expect((await http(HOST, 8080)).name).toBe('web')
        expect((await podman.fetch('inner', `http://${INTERNET_NAME}/`)).client).toBe(HOST)
        await podman.succeed(['pod', 'stop', '--time', '0', 'pod'])
        expect(await lab.quiet()).toEqual([])
      })
    })
  }
})
