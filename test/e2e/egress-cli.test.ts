/** A policy by the command: --policy, SIGHUP, --decisions. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { addInternet, EVIL, type Internet, SITE } from './internet.ts'
import { has, inWorlds, peer } from './lab.ts'
import { eventually } from './proc.ts'
import * as tasks from './tasks.ts'

const missing = ['ip', 'openssl', 'curl'].filter((name) => !has(name))

describe.skipIf(peer || missing.length > 0)('a policy from a file', () => {
  inWorlds((lab) => {
    let internet: Internet
    let count = 0
    beforeAll(async () => {
      internet = await addInternet(lab)
    })

    function files(policy: object): {
      policy: string
      decisions: string
      write(policy: object): void
    } {
      const name = join(lab.world.directory, `policy-${++count}`)
      const write = (text: object): void => writeFileSync(`${name}.json`, JSON.stringify(text))
      write(policy)
      return { policy: `${name}.json`, decisions: `${name}.jsonl`, write }
    }
    const GOOD = {
      rules: [{ id: 'good', action: 'allow', name: 'good.test', port: [80, 443, 22] }],
    }

    for (const as of ['owner', 'plain'] as const) {
      test(`holds, is read again at SIGHUP, and what is decided is recorded (as ${as})`, async () => {
        const { policy, decisions, write } = files(GOOD)
        const args = [`--policy=${policy}`, `--decisions=${decisions}`, '--log-level=info']
        const { guest, daemon } = await lab.attach({ args, as })
        const curl = async (name: string): Promise<number | null> =>
          (await guest.execute(['curl', '-sS', '--cacert', internet.ca, '-4', `https://${name}/`]))
            .status
        expect(await curl('good.test')).toBe(0)
        expect(await curl('second.test')).toBe(6)
        expect((await guest.run(tasks.tryToConnect, { host: EVIL, port: 22 })).outcome).toBe(
          'ECONNREFUSED',
        )
        await guest.run(tasks.connectKept, 'kept', { host: SITE, port: 22 })
        // Of a reset that comes with text that is not read yet, libuv tells as of an end.
        await guest.run(tasks.standing, 'kept', 'text')
        await eventually(
          () => existsSync(decisions) && readFileSync(decisions, 'utf8').includes(EVIL),
          3_000,
        )

        write({ rules: [{ action: 'allow', name: 'second.test', port: 443 }] })
        const moved = `${decisions}.1`
        renameSync(decisions, moved)
        daemon.program.kill('SIGHUP')
        const standing = await guest.run(tasks.standing, 'kept', 'error')
        expect(standing.error).toBe('ECONNRESET')
        expect(await curl('good.test')).toBe(6)
        expect(await curl('second.test')).toBe(0)

        write({ rules: [{ action: 'allow', nmae: 'good.test' }] })
        daemon.program.kill('SIGHUP')
        await eventually(() => daemon.program.stderr.includes('stays as it was'), 3_000)
        expect(daemon.program.stderr).toContain(`rules[0].nmae is not known; "name" is meant?`)
        expect(await curl('second.test')).toBe(0)

        await eventually(() => readFileSync(decisions, 'utf8').includes('second.test'), 3_000)
        const before = linesOf(moved)
        expect(before).toContainEqual(
          expect.objectContaining({ kind: 'flow', verdict: 'deny', address: EVIL, port: 22 }),
        )
        expect(before).toContainEqual(
          expect.objectContaining({
            kind: 'flow',
            verdict: 'allow',
            rule: 'good',
            said: 'good.test',
          }),
        )
        expect(linesOf(decisions)).toContainEqual(
          expect.objectContaining({ verdict: 'allow', name: 'second.test' }),
        )
        expect((await daemon.stop()).status).toBe(0)
        expect(linesOf(decisions).every(({ time }) => /^\d{4}-.*Z$/.test(`${time}`))).toBe(true)
      })
    }

    test('has its decisions in the output, a line each', async () => {
      const { policy } = files(GOOD)
      const { guest, daemon } = await lab.attach({ args: [`--policy=${policy}`, '--decisions=-'] })
      expect((await guest.run(tasks.tryToConnect, { host: EVIL, port: 22 })).outcome).toBe(
        'ECONNREFUSED',
      )
      await eventually(() => daemon.program.stdout.includes(EVIL), 3_000)
      const url = ['curl', '-sS', '--cacert', internet.ca, '-4', 'https://good.test/']
      expect((await guest.execute(url)).status).toBe(0)
      expect((await daemon.stop()).status).toBe(0)
      const lines = daemon.program.stdout.split('\n').filter((line) => line.startsWith('{'))
      const decisions = lines.map((line) => JSON.parse(line))
      expect(decisions).toContainEqual(
        expect.objectContaining({ kind: 'flow', verdict: 'deny', address: EVIL, port: 22 }),
      )
      expect(decisions).toContainEqual(
        expect.objectContaining({ kind: 'flow-end', name: 'good.test', said: 'good.test' }),
      )
    })

    test('that only observes denies nothing, and says the rules at the end', async () => {
      const { policy } = files({ ...GOOD, mode: 'observe' })
      const { guest, daemon } = await lab.attach({ args: [`--policy=${policy}`] })
      const url = ['curl', '-sS', '--cacert', internet.ca, '-4', 'https://second.test/']
      expect((await guest.execute(url)).stdout).toBe('hello from second.test\n')
      const { stderr } = await daemon.stop()
      const [, rules = ''] = /would allow what was seen:\n(\[[\s\S]*\])/.exec(stderr) ?? []
      expect(JSON.parse(rules)).toEqual([{ action: 'allow', name: 'second.test', port: 443 }])
    })

    test('holds in the sandbox', async () => {
      const { policy } = files(GOOD)
      const args = [`--policy=${policy}`, '--enable-sandbox', '--enable-seccomp']
      const { guest } = await lab.attach({ args })
      const ask = async (name: string) =>
        (await guest.execute(['curl', '-sS', '-4', `http://${name}/`])).status
      expect([await ask('good.test'), await ask('second.test')]).toEqual([0, 6])
    })
  })
})

const linesOf = (path: string): Record<string, unknown>[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
