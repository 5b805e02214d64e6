/** Rootless Docker on slipway: dockerd in RootlessKit, set up as docs/rootlesskit.md says, and by the name slirp4netns. */
import { afterEach, expect, test } from 'vitest'
import { HOST, INTERNET, INTERNET_NAME, type Task } from './closed-world.ts'
import { DOCKER, eventually, inClosedWorld } from './lab.ts'
import type { Answer } from './podman.ts'
import { askHttp, askUdp } from './tasks.ts'

const NEEDED = ['rootlesskit', 'dockerd-rootless.sh', 'dockerd', 'docker', 'containerd', 'runc']

inClosedWorld(
  [...NEEDED, 'iptables'],
  (lab) => lab.world.runScript('image.sh').then(() => {}),
  (lab) => {
    const SOCKET = '/run/user/2001/docker.sock'

    const docker = (args: readonly string[], task: Task = {}): Promise<string> => {
      const env = { PATH: path(), DOCKER_HOST: `unix://${SOCKET}` }
      return lab.world.succeed(['docker', ...args], { ...task, env })
    }

    const path = (first = ''): string =>
      `${first}${lab.world.bin}:${DOCKER}:/usr/bin:/usr/sbin:/bin:/sbin`

    /** Starts dockerd, and gives it the image. */
    const start = async (env: Record<string, string>, first = ''): Promise<void> => {
      const command = ['dockerd-rootless.sh', '--storage-driver', 'vfs']
      const program = lab.world.start(command, { env: { PATH: path(first), ...env } })
      const failed = program.ended.then(({ stderr }) => {
        throw new Error(`dockerd has ended: ${stderr}`)
      })
      failed.catch(() => {})
      await Promise.race([eventually(() => docker(['version']), undefined, 20_000), failed])
      const image = `tar -c -C ${lab.world.home}/image . | docker import - bench`
      const task = { env: { PATH: path(), DOCKER_HOST: `unix://${SOCKET}` } }
      await lab.world.succeed(['sh', '-c', image], task)
    }

    const run = (options: readonly string[], command: readonly string[]): Promise<string> => {
      const mounts = ['-v', '/usr:/usr:ro', '-v', `${lab.world.bin}:/opt:ro`]
      return docker(['run', ...mounts, ...options, 'bench', ...command])
    }

    const serve = (name: string, options: readonly string[]): Promise<string> =>
      run(['-d', '--name', name, ...options], ['/opt/node', '/opt/peer.mjs', 'serve', name, '80'])

    const fetch = async (options: readonly string[], url: string): Promise<{ client: string }> =>
      JSON.parse(await run(['--rm', ...options], ['wget', '-T', '5', '-qO-', url]))

    /** What a client on another machine gets from a published port. */
    const ask = async (task: typeof askHttp, port: number): Promise<Answer> =>
      JSON.parse(await eventually(() => lab.world.internet.run(task, HOST, port)))

    const rootlesskit = async () =>
      (await lab.running()).find(({ argv }) => argv[0]?.endsWith('rootlesskit'))

    afterEach(async () => {
      // By itself dockerd gives them ten seconds.
      await docker(['rm', '-f', 'web', 'other'])
      const { pid } = (await rootlesskit()) ?? {}
      if (pid !== undefined) await lab.world.succeed(['kill', `${pid}`])
      await eventually(rootlesskit, (found) => found === undefined)
    })

    test('with slipway as its ports’ driver, too', { timeout: 90_000 }, async () => {
      await start({
        DOCKERD_ROOTLESS_ROOTLESSKIT_NET: 'slirp4netns',
        DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER: 'slirp4netns',
        DOCKERD_ROOTLESS_ROOTLESSKIT_FLAGS: `--slirp4netns-binary=${lab.binary}`,
      })
      const [daemon, ...others] = await lab.daemons()
      expect(others).toEqual([])
      for (const option of ['--disable-host-loopback', '--enable-sandbox', '--enable-seccomp']) {
        expect(daemon!.argv).toContain(option)
      }
      expect(daemon).toMatchObject({ root: 'etc,run', seccomp: '2', noNewPrivs: '1' })

      expect((await fetch([], `http://${INTERNET}/`)).client).toBe(HOST)
      expect((await fetch([], `http://${INTERNET_NAME}/`)).client).toBe(HOST)
      const sum = await lab.world.internet.run(({ keep }) => keep.get('blob sha256') as string)
      const blob = `wget -qO- http://${INTERNET_NAME}/blob | sha256sum`
      expect(await run(['--rm'], ['sh', '-c', blob])).toBe(`${sum}  -`)

      await serve('web', ['-p', '8080:80', '-p', '8080:80/udp'])
      for (const task of [askHttp, askUdp]) {
        expect(await ask(task, 8080)).toEqual({ name: 'web', client: '192.0.2.254' })
      }
      await docker(['rm', '-f', 'web'])
      const gone = lab.world.internet.run(askHttp, HOST, 8080)
      await expect(gone).rejects.toThrow('ECONNREFUSED')

      // A network of one's own has names; Docker's name server asks slipway for the others.
      await docker(['network', 'create', 'mine'])
      await serve('web', ['--network', 'mine'])
      const inside = () => run(['--rm', '--network', 'mine'], ['wget', '-qO-', 'http://web/'])
      expect(JSON.parse(await eventually(inside)).name).toBe('web')
      const byName = await fetch(['--network', 'mine'], `http://${INTERNET_NAME}/`)
      expect(byName.client).toBe(HOST)

      const input = `FROM bench\nRUN wget -qO /answer http://${INTERNET_NAME}/`
      await docker(['build', '-t', 'made', '-'], { input })
      const made = await docker(['run', '--rm', 'made', 'cat', '/answer'])
      expect(JSON.parse(made).client).toBe(HOST)
    })

    test('found by the name slirp4netns, as k3s finds it', { timeout: 90_000 }, async () => {
      const folder = `${lab.world.home}/linked`
      await lab.world.succeed(['mkdir', folder])
      await lab.world.succeed(['ln', '-s', lab.binary, `${folder}/slirp4netns`])
      await start({}, `${folder}:`)
      const found = (await lab.running()).filter(({ argv }) =>
        argv.slice(0, 2).some((word) => word === 'slirp4netns' || word === `${folder}/slirp4netns`),
      )
      expect(found).toHaveLength(1)
      expect((await fetch([], `http://${INTERNET_NAME}/`)).client).toBe(HOST)
      await serve('other', ['-p', '8080:80', '-p', '8080:80/udp'])
      for (const task of [askHttp, askUdp]) expect((await ask(task, 8080)).name).toBe('other')
    })
  },
)
