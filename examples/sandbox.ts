/**
 * Runs a command that reaches what a policy allows; about everything else it asks you.
 *
 *     node scripts/run.mjs examples/sandbox.ts POLICY COMMAND [ARG ...]
 *
 *     allow second.example port 443? [y]es, [a]lways, or no: a
 *
 * Each decision is on stderr. The command has no standard input: that is for your answers.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { allow, attach, type Decision, deny, type FlowQuestion, type Verdict } from 'slipway'
import { PolicyError, parsePolicy } from 'slipway/policy'

const [file, ...command] = process.argv.slice(2)
if (file === undefined || command.length === 0) {
  console.error('usage: node scripts/run.mjs examples/sandbox.ts POLICY COMMAND [ARG ...]')
  process.exit(2)
}

/** Namespaces of its own, in which the name server is ours; the command starts when descriptor 3 says so. */
function startContainer(resolvConf: string, command: readonly string[]) {
  const script = `mount --bind ${resolvConf} /etc/resolv.conf && echo ready >&3 && read go <&3 && exec "$@" 3<&-`
  return spawn(
    'unshare',
    ['--user', '--map-root-user', '--net', '--mount', '--', 'sh', '-c', script, 'sh', ...command],
    { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] },
  )
}

const terminal = createInterface({ input: process.stdin, terminal: false })
const answers = terminal[Symbol.asyncIterator]()
let questions: Promise<unknown> = Promise.resolve()

/** One question at a time; nobody at the other end of stdin is a no. */
function ask(flow: FlowQuestion, signal: AbortSignal): Promise<Verdict> {
  const answer = questions.then(async () => {
    if (signal.aborted) return deny()
    const { name, address, protocol, port } = flow
    const kind = protocol === 'tcp' ? '' : ` (${protocol})`
    process.stderr.write(`allow ${name ?? address} port ${port}${kind}? [y]es, [a]lways, or no: `)
    const { value = '' } = await answers.next()
    process.stderr.write('\n')
    if (/^a/i.test(value)) return allow({ for: 'session' })
    return /^y/i.test(value) ? allow() : deny({ why: 'you said no' })
  })
  questions = answer
  return answer
}

function show({ kind, verdict, by, guest: _, name, address, port, why, count }: Decision): void {
  if (kind !== 'flow') return
  const where = `${name ?? address} port ${port}`
  console.error(`${verdict} ${where}: ${why ?? by}${count > 1 ? ` (${count} times)` : ''}`)
}

const directory = mkdtempSync(join(tmpdir(), 'sandbox-'))
try {
  const policy = parsePolicy(readFileSync(file, 'utf8'), file)
  const resolvConf = join(directory, 'resolv.conf')
  writeFileSync(resolvConf, 'nameserver 10.0.2.3\n')
  const container = startContainer(resolvConf, command)
  const ended = once(container, 'exit')
  const go = container.stdio[3] as import('node:net').Socket
  await Promise.race([once(go, 'data'), ended])
  const network = await attach({
    target: { pid: container.pid! },
    egress: { ...policy, onFlow: (flow, { signal }) => ask(flow, signal), hookTimeout: 120_000 },
  })
  const reading = (async () => {
    for await (const decision of network.decisions()) show(decision)
  })()
  go.write('go\n')
  const [status] = await ended
  await network.close()
  await reading
  process.exitCode = status ?? 1
} catch (error) {
  console.error(error instanceof PolicyError ? error.message : error)
  process.exitCode = 2
} finally {
  rmSync(directory, { recursive: true })
  terminal.close()
}
