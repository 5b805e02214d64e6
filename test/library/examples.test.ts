/** Each example runs as its head says, in a world of its own, and does what it is an example of. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { type Ending, Program } from '../../src/lab/program.ts'
import { addInternet, EVIL } from '../e2e/internet.ts'
import { has, inWorlds } from '../e2e/lab.ts'
import * as tasks from '../e2e/tasks.ts'
import { tshark } from './tshark.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The command that the head of each example gives, and who runs it here. */
const EXAMPLES = [
  'two-stacks',
  'capture',
  'metadata-service',
  'reverse-proxy',
  'daemon',
  'runtime',
  'sandbox',
]

test('every example is run: by this file, or two-stacks by stack-package.test.ts', () => {
  const files = readdirSync(join(root, 'examples')).filter((file) => file !== 'container.ts')
  expect(files.map((file) => file.replace(/\.ts$/, '')).sort()).toEqual([...EXAMPLES].sort())
})

inWorlds((lab) => {
  const isMoved = (): boolean => process.env.SLIPWAY_DIST !== undefined

  /** Runs an example in the world's "host" to its end. */
  function start(name: string, ...args: string[]): Program {
    const script = [process.execPath, join(root, 'scripts/run.mjs')]
    const command = [...script, join(root, `examples/${name}.ts`), ...args]
    const program = [...lab.host.enter, 'setpriv', '--pdeathsig', 'KILL', '--', ...command]
    return new Program(program, { limit: 30_000 })
  }

  const run = (name: string, ...args: string[]): Promise<Ending> => start(name, ...args).ended

  describe('examples/capture.ts', () => {
    test('writes a file that tshark reads cleanly', async (context) => {
      if (isMoved()) return context.skip('this user cannot read the examples')
      const file = join(lab.world.directory, 'example.pcapng')
      const { status, stdout, stderr } = await run('capture', file)
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expect(stdout).toMatch(/^hello from the host\n[1-9]\d+ frames in .*, 0 dropped\n$/)
      expect(existsSync(file)).toBe(true)
      if (has('tshark')) expect(await tshark(file)).toContain('GET / HTTP/1.1')
    })
  })

  describe('examples/metadata-service.ts', () => {
    test('is what the container finds at 169.254.169.254, by its name', async (context) => {
      if (isMoved()) return context.skip('this user cannot read the examples')
      const { status, stdout, stderr } = await run('metadata-service')
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expect(stdout.split('\n')).toEqual([
        '10.0.2.100 asked for /role',
        '10.0.2.100 asked for /token',
        '10.0.2.100 asked for /other',
        '169.254.169.254 /role 200 builder',
        '169.254.169.254 /token 200 for this container only',
        '169.254.169.254 /other 404 ',
        '',
      ])
    })
  })

  describe('examples/reverse-proxy.ts', () => {
    test('goes by names, to containers that publish nothing', async (context) => {
      if (isMoved()) return context.skip('this user cannot read the examples')
      const { status, stdout, stderr } = await run('reverse-proxy')
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      const pages = ['blue has /page', 'green has /page', 'blue has /page', 'no such container', '']
      expect(stdout.split('\n')).toEqual(pages)
    })
  })

  describe('examples/sandbox.ts', () => {
    const isThere = has('ip') && has('openssl') && has('curl')
    test.skipIf(!isThere)(
      'asks about what the policy does not say, and does as it is told',
      async (context) => {
        if (isMoved()) return context.skip('this user cannot read the examples')
        const { ca, octetsAt } = await addInternet(lab)
        const policy = join(lab.world.directory, 'policy.json')
        writeFileSync(policy, '{"rules": [{"action": "allow", "name": "good.test", "port": 443}]}')
        const curl = `curl -4 -s --cacert ${ca} --max-time 10`
        const command = ['good', 'second', 'evil', 'second'].map(
          (name) => `${curl} https://${name}.test/`,
        )
        const script = [
          process.execPath,
          join(root, 'scripts/run.mjs'),
          join(root, 'examples/sandbox.ts'),
        ]
        const program = [
          ...lab.host.enter,
          'setpriv',
          '--pdeathsig',
          'KILL',
          '--',
          ...script,
          policy,
        ]
        const whole = [...program, 'sh', '-c', `${command.join('; ')}; true`]
        const { status, stdout, stderr } = await new Program(whole, {
          limit: 30_000,
          input: 'always\nno\n',
        }).ended
        expect({ status, stdout }).toEqual({
          status: 0,
          stdout: 'hello from good.test\nhello from second.test\nhello from second.test\n',
        })
        const asked = [...stderr.matchAll(/^allow (\S+) port 443\? /gm)].map((match) => match[1])
        expect(asked).toEqual(['second.test', 'evil.test'])
        expect(stderr).toContain('deny evil.test port 443: you said no')
        expect(await octetsAt(EVIL, 443)).toBe(0)
      },
    )
  })

  describe('examples/daemon.ts', () => {
    test.skipIf(!has('ip'))('starts the command on a TAP that it has opened', async (context) => {
      if (isMoved()) return context.skip('this user cannot read the examples')
      const { status, stdout, stderr } = await run('daemon')
      expect({ status, stderr }).toEqual({ status: 0, stderr: 'received tapfd=3\nexitfd event\n' })
      expect(stdout).toBe('the daemon is ready\nhello from the host\nthe daemon has ended with 0\n')
    })
  })

  describe('examples/runtime.ts', () => {
    // What a container without a root of its own has. Where all has to run, it must not be left out unseen.
    const sees = process.execPath.startsWith('/usr/') || process.env.SLIPWAY_CI !== undefined
    test.skipIf(!sees)(
      'runs a command in a container, with its network and its ports',
      async (context) => {
        if (isMoved()) return context.skip('this user cannot read the examples')
        const serve = `
        const { networkInterfaces, hostname } = require('os')
        console.log(hostname(), networkInterfaces().tap0[0].cidr, process.pid)
        console.log(require('fs').existsSync('${root}'), require('fs').readFileSync('/etc/resolv.conf', 'utf8'))
        require('http').createServer((request, response) => {
          response.end('hello from the container', () => process.exit(7))
        }).listen(80, () => console.log('ready'))`
        const publish = ['-p', '18080:80', '--', process.execPath, '-e', serve]
        const program = start('runtime', ...publish)
        await new Promise<void>((resolve) => {
          program.child.stdout!.on('data', () => program.stdout.includes('ready') && resolve())
          program.child.once('exit', () => resolve())
        })
        const page = await lab.host.run(tasks.fetchText, { host: '127.0.0.1', port: 18080 })
        expect(page).toMatchObject({ text: 'hello from the container', client: 'undefined' })
        const { status, stdout, stderr } = await program.ended
        expect({ status, stderr }).toEqual({ status: 7, stderr: '' })
        expect(stdout).toBe('container 10.0.2.100/24 1\nfalse nameserver 10.0.2.3\n\nready\n')
      },
    )

    test.skipIf(!has('script'))('on a terminal, the command has it', async (context) => {
      if (isMoved()) return context.skip('this user cannot read the examples')
      const words = [process.execPath, 'scripts/run.mjs', 'examples/runtime.ts']
      const command = `cd ${root} && ${words.join(' ')} -- sh -c 'read word; test -t 0 && echo got $word; exit 5'`
      const program = new Program(
        [...lab.host.enter, 'script', '--quiet', '--return', '-c', command, '/dev/null'],
        { limit: 30_000, input: 'interactive\n' },
      )
      const { status, stdout } = await program.ended
      expect(stdout).toContain('got interactive')
      expect(status).toBe(5)
    })

    test('on another root file system, and without a network of ours when it fails', async (context) => {
      if (isMoved()) return context.skip('this user cannot read the examples')
      const { status, stderr } = await run('runtime', '--rootfs', '/nowhere', '--', 'true')
      expect(status).not.toBe(0)
      expect(stderr).toContain('/nowhere')
    })
  })
})
