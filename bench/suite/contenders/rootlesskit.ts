/**
 * RootlessKit's builtin port driver: a process in the container opens the connection there and hands it out, and the
 * kernel splices. RootlessKit makes the container itself; all else of its network is slirp4netns, which is a contender
 * already.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Program } from '../../../src/lab/program.ts'
import type { World } from '../../../src/lab/world.ts'
import { GUEST_PORT, iperfServer, says } from '../iperf.ts'
import { pause } from '../workload.ts'
import { type Contender, firstLine, shell } from './contender.ts'

/** Its container is not one of the world's. */
const WITH_CONGESTION = 'echo "$0" >/proc/sys/net/ipv4/tcp_congestion_control; exec "$@"'

export const rootlesskit: Contender = {
  name: 'rootlesskit',
  hint: 'apt install rootlesskit slirp4netns',
  offers: ['spliced'],
  version: () => firstLine(['rootlesskit', '--version'], 'rootlesskit'),
  async start(world, { mtu, hostPort }) {
    const bin = await giveSubordinateIds(world)
    const state = join(world.directory, `rootlesskit-${hostPort}-${++started}`)
    const program = world.host.start([
      ...['env', `PATH=${bin}:${process.env.PATH}`],
      ...['rootlesskit', '--state-dir', state, '--net=slirp4netns', `--mtu=${mtu}`],
      ...['--port-driver=builtin', '-p', `127.0.0.1:${hostPort}:${GUEST_PORT}/tcp`],
      ...['sh', '-c', WITH_CONGESTION, world.congestion, ...iperfServer(GUEST_PORT)],
    ])
    await says(program, 'listening')
    const child = Number(readFileSync(join(state, 'child_pid'), 'utf8'))
    return {
      pids: [program.pid, child],
      spliced: { host: '127.0.0.1', port: hostPort },
      stop: () => end(program),
    }
  },
}

let started = 0

/** It ends its child, slirp4netns and what runs in there. */
async function end(program: Program): Promise<void> {
  program.kill('SIGTERM')
  for (let waited = 0; program.running && waited < 3_000; waited += 20) await pause(20)
  program.kill('SIGKILL')
  await program.ended
}

const prepared = new WeakMap<World, string>()

/**
 * It wants subordinate ids, and programs that map them for it; the world has one user. So it finds files that give it
 * some, and programs that map the one. Returns where they are.
 */
async function giveSubordinateIds(world: World): Promise<string> {
  const known = prepared.get(world)
  if (known !== undefined) return known
  const bin = join(world.directory, 'bin')
  mkdirSync(bin)
  chmodSync(bin, 0o755)
  for (const kind of ['uid', 'gid']) {
    const file = join(bin, `new${kind}map`)
    writeFileSync(file, `#!/bin/sh\necho '0 0 1' > "/proc/$1/${kind}_map"\n`)
    chmodSync(file, 0o755)
    const ids = join(bin, `sub${kind}`)
    writeFileSync(ids, 'root:100000:65536\n')
    chmodSync(ids, 0o644)
    const what = `give RootlessKit an /etc/sub${kind} (it must be there)`
    await shell(world.host, what, `mount --bind ${ids} /etc/sub${kind}`)
  }
  prepared.set(world, bin)
  return bin
}
