/**
 * `buildah build` and `podman build`: they ask no configuration, but look `slirp4netns` up on PATH, once for each RUN.
 * So slipway is linked by that name.
 */
import { describe, expect, test } from 'vitest'
import { HOST, INTERNET, INTERNET_NAME, type Process } from './closed-world.ts'
import { peer } from './lab.ts'
import { IMAGE, withPodman } from './podman.ts'

const CONTAINERFILE = `
FROM ${IMAGE}
RUN wget -qO /by-name http://${INTERNET_NAME}/ && ip addr show tap0 >/addresses && sleep 0.7
RUN wget -qO /by-address http://${INTERNET}/ && sleep 0.7
RUN wget -qO- http://${INTERNET_NAME}/blob | sha256sum >/sum; sleep 0.7`

withPodman(['buildah'], (lab, podman) => {
  for (const builder of ['buildah', 'podman']) {
    describe(`${builder} build`, () => {
      /** A folder with nothing but a slirp4netns, first on PATH. */
      const link = async (): Promise<{ name: string; env: { PATH: string } }> => {
        const folder = `${lab.world.home}/linked`
        await lab.world.succeed(['mkdir', '-p', folder])
        await lab.world.succeed(['ln', '-sf', lab.binary, `${folder}/slirp4netns`])
        const PATH = `${folder}:${lab.world.bin}:/usr/bin:/usr/sbin:/bin:/sbin`
        return { name: `${folder}/slirp4netns`, env: { PATH } }
      }

      test('each RUN has its network, by a daemon of its own', async () => {
        const { name, env } = await link()
        // The daemon is called by its name, and does not know where it was found.
        // For a moment it is a shell.
        const isDaemon = ({ argv }: Process) =>
          [name, 'slirp4netns'].includes(argv[peer ? 0 : 1] ?? '') && argv[0] !== '/bin/sh'
        // By their command lines: a daemon may have a child for a moment.
        const seen = new Map<string, string[]>()
        const command = [builder, 'build', '--no-cache', '-t', `${builder}-made`, '-']
        const build = lab.world.succeed(command, { env, input: CONTAINERFILE })
        let built = false
        const done = build.finally(() => {
          built = true
        })
        done.catch(() => {})
        while (!built) {
          for (const { argv } of (await lab.running()).filter(isDaemon)) {
            seen.set(argv.join(' '), argv)
          }
        }
        await done

        expect(seen.size).toBe(3)
        for (const argv of seen.values()) {
          expect(argv.slice(peer ? 1 : 2)).toEqual([
            ...['--mtu', '65520', '-r', '3', '-c', expect.stringMatching(/^\d+$/), 'tap0'],
          ])
        }
        const cat = async (file: string): Promise<string> => {
          const options = ['run', '--rm', '--network', 'none', `localhost/${builder}-made`]
          return podman.succeed([...options, 'cat', file])
        }
        expect(JSON.parse(await cat('/by-name')).client).toBe(HOST)
        expect(JSON.parse(await cat('/by-address')).client).toBe(HOST)
        expect(await cat('/addresses')).toContain('inet 10.0.2.100/24')
        const sum = await lab.world.internet.run(({ keep }) => keep.get('blob sha256') as string)
        expect(await cat('/sum')).toBe(`${sum}  -`)
        expect(await lab.quiet()).toEqual([])
      })

      test('a RUN that fails ends its daemon, too', async () => {
        const { env } = await link()
        const input = `FROM ${IMAGE}\nRUN wget -T 5 -qO- http://${INTERNET}:9/`
        const options = { env, input }
        const { status } = await lab.world.execute([builder, 'build', '-'], options)
        expect(status).not.toBe(0)
        expect(await lab.quiet()).toEqual([])
      })
    })
  }
})
