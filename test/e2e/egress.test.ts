/** A policy on a real container, by the library: names, leases, reloading, records, hooks. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Decision, EgressOptions, Network, RuleInput } from '../../src/index.ts'
import type { Kit } from '../../src/lab/agent.ts'
import type { Namespace } from '../../src/lab/world.ts'
import { Embedder, LIBRARY } from '../library/embedder.ts'
import { addInternet, EVIL, type Internet, SECOND, SITE, SITE6 } from './internet.ts'
import { address6 } from './ipv6.ts'
import { has, inWorlds, peer } from './lab.ts'
import * as tasks from './tasks.ts'

const missing = ['ip', 'openssl', 'curl', 'dig'].filter((name) => !has(name))
const allow = (rule: Omit<RuleInput, 'action'>): RuleInput => ({ action: 'allow', ...rule })

describe.skipIf(peer || missing.length > 0)('egress', () => {
  inWorlds((lab) => {
    let internet: Internet
    const opened: (() => Promise<void>)[] = []
    beforeAll(async () => {
      internet = await addInternet(lab)
    })
    afterEach(async () => {
      for (const close of opened.splice(0).reverse()) await close()
    })

    interface Attached {
      readonly guest: Namespace
      readonly program: Embedder
    }

    async function attach(egress: EgressOptions, answers?: Answers): Promise<Attached> {
      const guest = await lab.world.container()
      opened.push(() => guest.close())
      const program = await Embedder.beside(guest)
      opened.push(() => program.close())
      const options = { target: { pid: guest.pid }, ipv6: true }
      await program.run(attachAndRead, LIBRARY, options, egress, answers)
      return { guest, program }
    }

    /** What curl prints, or its exit status: 6 no such name, 7 refused, 28 a time-out, 35 and 56 reset. */
    async function curl(guest: Namespace, url: string, ...options: string[]): Promise<string> {
      const command = ['curl', '-gsS', '--cacert', internet.ca, '--max-time', '5', ...options, url]
      const { status, stdout } = await guest.execute(command)
      return status === 0 ? stdout.trim() : `exit ${status}`
    }
    const connect = async (guest: Namespace, host: string, port: number): Promise<string> =>
      (await guest.run(tasks.tryToConnect, { host, port }, 3_000)).outcome
    const lookUp = async (guest: Namespace, name: string, type = 'A'): Promise<string> =>
      (await guest.execute(['dig', '+short', '+time=3', '+tries=1', name, type])).stdout.trim()
    const setPolicy = ({ program }: Attached, policy: EgressOptions): Promise<void> =>
      program.run(({ keep }, policy) => (keep.get('network') as Network).setPolicy(policy), policy)
    const decisions = ({ program }: Attached): Promise<Decision[]> =>
      program.run(({ keep }) => keep.get('decisions') as Decision[])
    const asked = ({ program }: Attached): Promise<string[]> =>
      program.run(({ keep }) => keep.get('asked') as string[])

    test('a name that a rule allows is reached, and no other, by name or by address', async () => {
      const { guest } = await attach({ rules: [allow({ name: 'good.test', port: [443, 80] })] })
      expect(await curl(guest, 'https://good.test/')).toBe('hello from good.test')
      expect(await curl(guest, 'http://good.test/')).toBe('hello from good.test')
      expect(await curl(guest, 'https://evil.test/')).toBe('exit 6')
      expect(await curl(guest, `https://${EVIL}/`)).toBe('exit 7')
      const resolve = ['--resolve', `other.test:443:${SITE}`]
      expect(await curl(guest, 'https://other.test/', ...resolve)).toBe('exit 35')
      expect(await internet.octetsAt(EVIL, 443)).toBe(0)
    })

    test('a policy of allow denies what its rules say', async () => {
      const rules: RuleInput[] = [
        { action: 'deny', name: 'evil.test' },
        { action: 'deny', to: 'private' },
        { action: 'deny', to: SECOND, port: 22 },
      ]
      const { guest } = await attach({ default: 'allow', rules })
      expect(await curl(guest, 'https://good.test/')).toBe('hello from good.test')
      expect(await curl(guest, 'http://evil.test/')).toBe('exit 6')
      expect(await connect(guest, SITE, 22)).toBe('connected')
      expect(await connect(guest, SECOND, 22)).toBe('ECONNREFUSED')
      expect(await connect(guest, '10.9.9.9', 22)).toBe('ECONNREFUSED')
    })

    describe('names', () => {
      test('are looked up by way of a search list, and fail soon when they are denied', async () => {
        const { guest } = await attach({ rules: [allow({ name: 'good.test' })] })
        const resolvConf = join(lab.world.directory, `resolv.conf.${guest.pid}`)
        writeFileSync(resolvConf, 'search corp.example\noptions ndots:5\nnameserver 10.0.2.3\n')
        const time = async (name: string): Promise<{ status: number | null; ms: number }> => {
          const started = performance.now()
          const { status } = await guest.execute(['getent', 'ahosts', name])
          return { status, ms: performance.now() - started }
        }
        expect(await time('good.test')).toMatchObject({ status: 0 })
        const denied = [await time('evil.test'), await time('evil.test'), await time('evil.test')]
        expect(denied.map(({ status }) => status)).toEqual([2, 2, 2])
        // Not a time-out of a resolver, which is five seconds; the rest is what starting getent takes.
        const known = [await time('localhost'), await time('localhost'), await time('localhost')]
        const [least, own] = [denied, known].map((each) => Math.min(...each.map(({ ms }) => ms)))
        expect(least! - own!).toBeLessThan(100 + own!)
      })

      test('that are denied are answered without asking anybody, and say why', async () => {
        const { guest } = await attach({ rules: [allow({ name: 'good.test' })] })
        await internet.askedNames()
        const { stdout } = await guest.execute(['dig', 'evil.test'])
        expect(stdout).toContain('status: NXDOMAIN')
        expect(stdout).toMatch(/EDE: 18 \(Prohibited\): \(no rule allows it\)/)
        expect(stdout).toMatch(/\.\s+5\s+IN\s+SOA/)
        expect(await internet.askedNames()).toEqual([])
        await lookUp(guest, 'GOOD.test')
        expect(await internet.askedNames()).toEqual(['good.test'])
      })

      test('may be refused in place of that', async () => {
        const { guest } = await attach({ dns: { denied: 'refused' } })
        expect((await guest.execute(['dig', 'evil.test'])).stdout).toContain('status: REFUSED')
      })

      test('of many addresses come over TCP, whole', async () => {
        const { guest } = await attach({ rules: [allow({ name: 'many.test' })] })
        const { stdout } = await guest.execute(['dig', '+short', '+tcp', 'many.test'])
        expect(stdout.trim().split('\n')).toHaveLength(60)
        const short = await guest.execute(['dig', '+short', '+bufsize=512', 'many.test'])
        expect(short.stdout.trim().split('\n')).toHaveLength(60)
      })

      test('by which an answer came may be asked for, and lead to the first', async () => {
        const { guest } = await attach({ rules: [allow({ name: 'alias.test', port: 22 })] })
        expect(await lookUp(guest, 'cdn.test')).toBe('')
        expect(await lookUp(guest, 'alias.test')).toBe(`cdn.test.\n${SITE}`)
        expect(await lookUp(guest, 'cdn.test')).toBe(SITE)
        expect(await connect(guest, SITE, 22)).toBe('connected')
      })

      test('with addresses of their own are for those', async () => {
        const rules = [allow({ name: 'lan.test', to: '10.1.0.0/16', port: 80 })]
        const { guest } = await attach({ rules })
        expect(await lookUp(guest, 'lan.test')).toBe('10.1.2.3')
      })
    })

    describe('a lease', () => {
      test('ends, and a flow that uses it keeps it', async () => {
        const { guest } = await attach({
          leaseMin: 1,
          rules: [allow({ name: 'good.test', port: 22 })],
        })
        expect(await lookUp(guest, 'good.test')).toBe(SITE)
        await guest.run(tasks.connectKept, 'first', { host: SITE, port: 22 })
        await new Promise((resolve) => setTimeout(resolve, 1_300))
        expect(await connect(guest, SITE, 22)).toBe('connected')
        await guest.run(tasks.act, 'first', 'reset')
        await until(async () => (await connect(guest, SITE, 22)) === 'ECONNREFUSED', 3_000)
        expect(await connect(guest, SITE, 22)).toBe('ECONNREFUSED')
        await lookUp(guest, 'good.test')
        expect(await connect(guest, SITE, 22)).toBe('connected')
      })

      test("is not another container's, behind the same TAP", async () => {
        const { guest } = await attach({ rules: [allow({ name: 'good.test', port: 22 })] })
        const other = await lab.world.inner(guest)
        const { status, stderr } = await guest.execute([
          'sh',
          '-ec',
          `ip link add br0 type bridge
           ip link set br0 address $(ip -o link show tap0 | sed 's/.*ether \\([0-9a-f:]*\\).*/\\1/')
           ip link add left type veth peer name right netns ${other.pid}
           ip link set tap0 master br0; ip link set left master br0
           ip addr flush dev tap0; ip addr add 10.0.2.100/24 dev br0
           ip link set br0 up; ip link set left up
           ip route add default via 10.0.2.2`,
        ])
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
        await other.execute([
          'sh',
          '-ec',
          'ip link set lo up; ip addr add 10.0.2.101/24 dev right; ip link set right up; ip route add default via 10.0.2.2',
        ])
        expect(await lookUp(guest, 'good.test')).toBe(SITE)
        expect(await connect(guest, SITE, 22)).toBe('connected')
        expect(await connect(other, SITE, 22)).toBe('ECONNREFUSED')
        const command = ['dig', '+short', '@10.0.2.3', 'good.test']
        expect((await other.execute(command)).stdout).toBe(`${SITE}\n`)
        expect(await connect(other, SITE, 22)).toBe('connected')
        await other.close()
      })
    })

    describe('another policy', () => {
      const BOTH = [
        allow({ name: 'good.test', port: 22 }),
        allow({ name: 'second.test', port: 22 }),
      ]
      test('holds at once: what it denies is reset, what it allows goes on', async () => {
        const attached = await attach({ rules: BOTH })
        const { guest } = attached
        for (const name of ['good.test', 'second.test']) await lookUp(guest, name)
        await guest.run(tasks.connectKept, 'good', { host: SITE, port: 22 })
        await guest.run(tasks.connectKept, 'second', { host: SECOND, port: 22 })
        // Of a reset that comes with text that is not read yet, libuv tells as of an end.
        await guest.run(tasks.standing, 'second', 'text')
        await setPolicy(attached, { rules: BOTH.slice(0, 1) })
        await until(async () => (await outcome(guest, 'second')) === 'ECONNRESET', 3_000)
        expect(await outcome(guest, 'second')).toBe('ECONNRESET')
        expect(await outcome(guest, 'good')).toBe('open')
        expect(await connect(guest, SECOND, 22)).toBe('ECONNREFUSED')
        expect(await connect(guest, SITE, 22)).toBe('connected')
      })

      test('that is wrong changes nothing', async () => {
        const attached = await attach({ rules: BOTH })
        const wrong = { rules: [{ action: 'allow', nane: 'x' }] } as unknown as EgressOptions
        await expect(setPolicy(attached, wrong)).rejects.toMatchObject({
          code: 'ERR_INVALID_OPTION',
          message: expect.stringContaining('policy.rules[0].nane is not known; "name" is meant?'),
        })
        expect(await lookUp(attached.guest, 'good.test')).toBe(SITE)
      })
    })

    test('replies of a published UDP port go to clients that wrote first, and to nobody else', async () => {
      const { guest, program } = await attach({})
      const port = await guest.run(tasks.serveUdpEcho, '0.0.0.0')
      const { hostPort } = await program.forward({ proto: 'udp', guestPort: port })
      const answer = await lab.host.run(tasks.exchangeUdp, { host: '127.0.0.1', port: hostPort })
      expect(answer).toMatchObject({ outcome: 'answer', equal: true })
      const { outcome } = await guest.run(tasks.exchangeUdp, { host: EVIL, port: 4433 }, 64, 500)
      expect(outcome).not.toBe('answer')
      expect(await internet.octetsAt(EVIL, 104_433)).toBe(0)
    })

    test("an end point of the program's own wins over the policy", async () => {
      const attached = await attach({ rules: [{ action: 'deny' }] })
      const { guest, program } = attached
      await program.run(async ({ keep }) => {
        const network = keep.get('network') as Network
        await network.listen({ port: 80, address: '169.254.169.254' }, (stream) =>
          stream.end('mine'),
        )
      })
      expect(await guest.run(tasks.exchange, { host: '169.254.169.254', port: 80 }, '')).toBe(
        'mine',
      )
      expect(await connect(guest, '169.254.169.254', 81)).toBe('ECONNREFUSED')
      await until(async () => (await decisions(attached)).length > 1, 2_000)
      expect(await decisions(attached)).toContainEqual(
        expect.objectContaining({ kind: 'flow', verdict: 'allow', by: 'endpoint', port: 80 }),
      )
    })

    describe('records', () => {
      test('tell of names, connections, and octets at their end', async () => {
        const attached = await attach({
          rules: [allow({ id: 'web', name: 'good.test', port: 443 })],
        })
        const { guest } = attached
        await curl(guest, 'https://good.test/', '-4')
        for (let i = 0; i < 3; i++) await curl(guest, `http://${EVIL}/`)
        await curl(guest, 'https://evil.test/', '-4')
        const resolve = ['--resolve', `other.test:443:${SITE}`]
        await curl(guest, 'https://other.test/', ...resolve)
        await until(
          async () => (await decisions(attached)).some(({ said }) => said === 'other.test'),
          2_000,
        )
        const all = await decisions(attached)
        const has = (wanted: Partial<Decision>): void =>
          expect(all).toContainEqual(expect.objectContaining(wanted))
        has({
          kind: 'question',
          verdict: 'allow',
          by: 'rule',
          rule: 'web',
          name: 'good.test',
          type: 'A',
        })
        has({ kind: 'answer', verdict: 'allow', name: 'good.test', addresses: [SITE] })
        has({
          kind: 'flow',
          verdict: 'allow',
          by: 'check',
          rule: 'web',
          address: SITE,
          port: 443,
          name: 'good.test',
          said: 'good.test',
          check: 'tls',
          guest: '10.0.2.100',
        })
        has({ kind: 'question', verdict: 'deny', by: 'default', name: 'evil.test' })
        has({
          kind: 'flow',
          verdict: 'deny',
          by: 'check',
          said: 'other.test',
          why: 'it says other.test',
        })
        const end = all.find(({ kind, name }) => kind === 'flow-end' && name === 'good.test')
        expect(end?.octetsToGuest).toBeGreaterThan(500)
        const denied = all.filter(({ address, verdict }) => address === EVIL && verdict === 'deny')
        expect(denied.reduce((sum, { count }) => sum + count, 0)).toBe(3)
      })

      test('where it is observed tell what would be denied, and nothing is', async () => {
        const attached = await attach({
          mode: 'observe',
          rules: [allow({ name: 'good.test', port: 443 })],
        })
        const { guest } = attached
        expect(await curl(guest, 'https://evil.test/', '-4')).toBe('hello from evil.test')
        const resolve = ['--resolve', `other.test:443:${SITE}`]
        await lookUp(guest, 'good.test')
        expect(await curl(guest, 'https://other.test/', ...resolve)).toBe('hello from other.test')
        expect(await connect(guest, SECOND, 22)).toBe('connected')
        const all = (await decisions(attached)).filter(({ verdict }) => verdict === 'deny')
        expect(all.every(({ isObserved }) => isObserved)).toBe(true)
        expect(all).toContainEqual(
          expect.objectContaining({ kind: 'flow', name: 'evil.test', address: EVIL, port: 443 }),
        )
        expect(all).toContainEqual(
          expect.objectContaining({ kind: 'flow', by: 'check', said: 'other.test' }),
        )
      })
    })

    describe('a hook', () => {
      const hook = (answers: Answers, egress: EgressOptions = {}): Promise<Attached> =>
        attach({ hookTimeout: 5_000, ...egress }, answers)

      test('is asked about a name’s connection, and nobody hears of the name before', async () => {
        const attached = await hook({ 'good.test': 'allow', 'evil.test': 'deny' })
        const { guest } = attached
        await internet.askedNames()
        expect(await lookUp(guest, 'evil.test')).toMatch(/^198\.18\./)
        expect(await curl(guest, 'https://evil.test/')).toBe('exit 7')
        expect(await internet.askedNames()).toEqual([])
        expect(await curl(guest, 'https://good.test/')).toBe('hello from good.test')
        expect(new Set(await internet.askedNames())).toEqual(new Set(['good.test']))
        expect(await asked(attached)).toEqual(['evil.test tcp 443', 'good.test tcp 443'])
        expect(await decisions(attached)).toContainEqual(
          expect.objectContaining({ kind: 'flow', verdict: 'deny', by: 'hook', name: 'evil.test' }),
        )
      })

      test('allows the name that was asked about, and no other at its address', async () => {
        const { guest } = await hook({ 'good.test': 'allow' })
        const addr = await lookUp(guest, 'good.test')
        const resolve = ['--resolve', `other.test:443:${addr}`]
        expect(await curl(guest, 'https://other.test/', ...resolve)).toBe('exit 35')
      })

      test('is asked once for what is tried several times, or for a session', async () => {
        const attached = await hook({ 'good.test': 'slowly', 'second.test': 'session' })
        const { guest } = attached
        const host = await lookUp(guest, 'good.test')
        const tries = Array.from({ length: 5 }, () => connect(guest, host, 443))
        expect(new Set(await Promise.all(tries))).toEqual(new Set(['connected']))
        for (let i = 0; i < 3; i++) {
          expect(await curl(guest, 'http://second.test/')).toBe('hello from second.test')
        }
        expect(await asked(attached)).toEqual(['good.test tcp 443', 'second.test tcp 80'])
      })

      test('is asked about addresses that nobody was asked for', async () => {
        const attached = await hook({ [SITE]: 'allow', [`${SECOND} 4433`]: 'session' })
        const { guest } = attached
        expect(await connect(guest, SITE, 22)).toBe('connected')
        expect(await connect(guest, SECOND, 22)).toBe('ECONNREFUSED')
        expect(await asked(attached)).toEqual([`${SITE} tcp 22`, `${SECOND} tcp 22`])
        // A datagram is lost while the program is asked; the next one goes.
        const udp = (): Promise<{ outcome: string }> =>
          guest.run(tasks.exchangeUdp, { host: SECOND, port: 4433 }, 64, 500)
        await udp()
        expect((await udp()).outcome).toBe('answer')
      })

      test('is not asked about datagrams to where nobody is yet', async () => {
        const attached = await hook({ 'good.test': 'allow' })
        const { guest } = attached
        const host = await lookUp(guest, 'good.test')
        const { outcome } = await guest.run(tasks.exchangeUdp, { host, port: 443 }, 64, 500)
        expect(outcome).toMatch(/^(EACCES|EHOSTUNREACH)$/)
        expect(await asked(attached)).toEqual([])
        const other = await guest.run(tasks.exchangeUdp, { host: EVIL, port: 4433 }, 64, 500)
        expect(other.outcome).not.toBe('answer')
        expect(await asked(attached)).toEqual([`${EVIL} udp 4433`])
      })

      test('that never answers, throws, or answers nonsense denies', async () => {
        const answers: Answers = {
          'good.test': 'never',
          'second.test': 'throw',
          'other.test': 'nonsense',
        }
        const attached = await hook(answers, { hookTimeout: 2_000 })
        const { guest, program } = attached
        for (const name of ['good.test', 'second.test', 'other.test']) {
          expect(await curl(guest, `http://${name}/`)).toBe('exit 7')
        }
        const whys = (await decisions(attached)).map(({ why }) => why)
        expect(whys).toContain('nobody answered in time')
        expect(whys).toContain('onFlow has failed: thrown')
        expect(whys).toContain('onFlow has failed: it must return what allow() or deny() gives')
        expect(await program.run(({ keep }) => keep.get('aborted'))).toBe(1)
        expect(await program.run(({ keep }) => keep.get('warnings'))).toBe(2)
      })

      test('does not slow what rules allow', async () => {
        const attached = await hook(
          { 'evil.test': 'never' },
          { rules: [allow({ name: 'good.test' })] },
        )
        const { guest } = attached
        const waits = curl(guest, 'https://evil.test/')
        for (let i = 0; i < 3; i++) {
          expect(await curl(guest, 'https://good.test/')).toBe('hello from good.test')
        }
        expect(await waits).toMatch(/^exit (7|28)$/)
      })

      test('about names decides whether they are looked up, and allows their connections', async () => {
        const attached = await attach({ hookTimeout: 5_000 }, {
          query: { 'good.test': 'session' },
        } as Answers)
        const { guest } = attached
        expect(await lookUp(guest, 'evil.test')).toBe('')
        expect(await curl(guest, 'https://good.test/', '-4')).toBe('hello from good.test')
        const resolve = ['--resolve', `other.test:443:${SITE}`]
        expect(await curl(guest, 'https://other.test/', ...resolve)).toBe('exit 35')
        expect(await asked(attached)).toEqual(['evil.test query', 'good.test query'])
        expect(await internet.askedNames()).not.toContain('evil.test')
      })
    })

    test('both families of a name are allowed alike', async () => {
      const { guest } = await attach({
        rules: [allow({ name: ['good.test', 'happy.test'], port: 443 })],
      })
      await address6(guest)
      for (const way of ['-4', '-6']) {
        expect(await curl(guest, 'https://good.test/', way)).toBe('hello from good.test')
      }
      // A family that is dead is given up for the other one.
      expect(await curl(guest, 'https://happy.test/')).toBe('hello from happy.test')
      expect(await lookUp(guest, 'good.test', 'AAAA')).toBe(SITE6)
    })
  })
})

/** Waits until it holds, at most so many ms. */
async function until(holds: () => Promise<boolean>, limit: number): Promise<void> {
  for (const end = performance.now() + limit; performance.now() < end && !(await holds()); ) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** What hooks answer: by name or address, which may have a port behind it. With `query`, onQuery does. */
type Answers = Record<string, string | Record<string, string>>

/** Attaches, with hooks that answer so, and keeps what was decided and asked. */
async function attachAndRead(
  { load, keep, sleep }: Kit,
  library: string,
  options: { target: { pid: number }; ipv6: boolean },
  egress: EgressOptions,
  answers: Answers | undefined,
): Promise<void> {
  const { allow, attach, deny } = (await load(library)) as typeof import('../../src/index.ts')
  const asked: string[] = []
  const decisions: Decision[] = []
  keep.set('asked', asked)
  keep.set('decisions', decisions)
  const answer = async (say: string | undefined, signal: AbortSignal): Promise<never> => {
    signal.addEventListener('abort', () =>
      keep.set('aborted', ((keep.get('aborted') as number | undefined) ?? 0) + 1),
    )
    if (say === 'throw') throw new Error('thrown')
    if (say === 'nonsense') return true as never
    if (say === 'never') await new Promise(() => {})
    if (say === 'slowly') await sleep(1_000)
    if (say === 'allow' || say === 'slowly') return allow() as never
    return (say === 'session' ? allow({ for: 'session' }) : deny({ why: 'asked' })) as never
  }
  const queries = answers?.query as Record<string, string> | undefined
  const network = await attach({
    ...options,
    egress: {
      ...egress,
      ...(answers !== undefined &&
        queries === undefined && {
          onFlow: ({ name, address, protocol, port }, { signal }) => {
            const where = name ?? address!
            asked.push(`${where} ${protocol} ${port}`)
            const say = answers[where] ?? answers[`${where} ${port}`]
            return answer(say as string | undefined, signal)
          },
        }),
      ...(queries !== undefined && {
        onQuery: ({ name }, { signal }) => {
          asked.push(`${name} query`)
          return answer(queries[name], signal)
        },
      }),
    },
  })
  keep.set('network', network)
  network.on('warning', ({ code }) => {
    if (code === 'WARN_HOOK') keep.set('warnings', ((keep.get('warnings') as number) ?? 0) + 1)
  })
  void (async () => {
    for await (const decision of network.decisions()) decisions.push(decision)
  })()
}

/** How the connection that was kept under that name ended, or that it has not. */
function outcome(guest: Namespace, name: string): Promise<string> {
  return guest.run(({ keep }, name) => {
    const { ended, error } = keep.get(name) as tasks.Kept
    return error ?? (ended ? 'ended' : 'open')
  }, name)
}
