/** `slipway check` and `slipway doctor`, as they are built. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CLI, run } from './command.ts'

let folder = ''
let policy = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-check-'))
  policy = join(folder, 'policy.json')
  const rules = [
    { id: 'npm', action: 'allow', name: 'registry.npmjs.org', port: 443, why: 'packages' },
    { id: 'office', action: 'deny', to: 'private' },
  ]
  writeFileSync(policy, JSON.stringify({ rules }))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const slipway = (...args: string[]) => run([process.execPath, CLI, ...args])

describe('check', () => {
  test.each([
    [
      ['registry.npmjs.org:443'],
      0,
      'allow registry.npmjs.org:443 tcp: packages\n  rule: npm\n  its name is read: tls\n',
    ],
    [['evil.example:443'], 1, 'deny evil.example:443 tcp: no rule has the name evil.example\n'],
    [['10.0.0.1:80'], 1, 'deny 10.0.0.1:80 tcp: the rule denies it\n  rule: office\n'],
    [['[::1]:80'], 1, 'deny [::1]:80 tcp: the rule denies it\n  rule: office\n'],
    [
      ['registry.npmjs.org:443', '--sni='],
      1,
      'deny registry.npmjs.org:443 tcp: it says no name\n  rule: npm\n  its name is read: tls\n',
    ],
    [
      ['registry.npmjs.org:443', '--to=10.1.1.1', '--explain'],
      1,
      '  npm: another address\ndeny registry.npmjs.org:443 tcp: the address is taken out of answers for registry.npmjs.org, as it does not say "private"\n  rule: office\n',
    ],
    [
      ['9.9.9.9', '--protocol=icmp'],
      1,
      'deny 9.9.9.9 icmp: no rule is about it, and the default denies\n',
    ],
  ])('--connect=%s', async ([connect, ...more], status, stdout) => {
    const outcome = await slipway('check', policy, '--connect', connect!, ...more)
    expect(outcome).toEqual({ status, stdout, stderr: '' })
  })

  test('without a connection says whether it is a policy', async () => {
    expect(await slipway('check', policy)).toEqual({
      status: 0,
      stdout: `${policy}: a policy of 2 rules, and the default is to deny\n`,
      stderr: '',
    })
  })

  test('tells of all mistakes, by line and column', async () => {
    const wrong = join(folder, 'wrong.json')
    writeFileSync(
      wrong,
      '{ "rules": [\n  { "action": "allow", "port": 0 },\n  { "action": "alow" } ] }',
    )
    const { status, stderr } = await slipway('check', wrong)
    expect(status).toBe(2)
    expect(stderr).toBe(
      `${wrong}:2:32: rules[0].port must be 1 to 65535, or a range such as "8000-8999", not 0
${wrong}:3:15: rules[1].action must be "allow" or "deny", not "alow"
`,
    )
  })

  test.each([
    [['/nonexistent'], 'cannot read the policy /nonexistent: No such file or directory\n'],
    [[], /^Usage: slipway check POLICY/],
    [['--nonsense'], /nonsense/],
    [['POLICY', '--connect=example.com'], /must be a host and a port/],
    [['POLICY', '--connect=a.b:1', '--protocol=sctp'], /--protocol must be tcp, udp, icmp/],
    [['POLICY', '--connect=a..b:1'], /cannot simulate "a\.\.b": a label is empty/],
  ])('%s is a mistake', async (args, problem) => {
    const { status, stdout, stderr } = await slipway(
      'check',
      ...args.map((arg) => (arg === 'POLICY' ? policy : arg)),
    )
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(problem)
  })
})

describe('a run', () => {
  test('with a policy that is wrong ends before anything is started', async () => {
    const wrong = join(folder, 'wrong2.json')
    writeFileSync(wrong, '{"rulez": []}')
    expect(await slipway(`--policy=${wrong}`, '1', 'tap0')).toEqual({
      status: 1,
      stdout: '',
      stderr: `${wrong}:1:2: rulez is not known; "rules" is meant?\n`,
    })
  })
})

describe('doctor', () => {
  test('has a line for each thing, with a remedy where something is missing', async () => {
    const { status, stdout, stderr } = await slipway('doctor')
    expect(stderr).toBe('')
    const lines = stdout.trimEnd().split('\n')
    for (const line of lines) expect(line).toMatch(/^(ok {4}|less {2}\S.*; |NO {4}\S)/)
    expect(lines[1]).toBe(`ok    Node ${process.versions.node}`)
    expect(lines).toHaveLength(11)
    expect(status).toBe(lines.some((line) => line.startsWith('NO')) ? 1 : 0)
  })

  test('looks at the namespace of a process', async () => {
    const own = await slipway('doctor', `${process.pid}`)
    expect(own.status).toBe(1)
    expect(own.stdout).toContain(
      `NO    process ${process.pid} is in our own network namespace; give`,
    )
    const gone = await slipway('doctor', '4194305')
    expect(gone.stdout).toContain('NO    cannot look at process 4194305: No such file or directory')
  })

  test('takes one PID', async () => {
    expect((await slipway('doctor', 'x')).status).toBe(2)
    expect((await slipway('doctor', '1', '2')).status).toBe(2)
  })
})
