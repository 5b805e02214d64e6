/**
 * What every test of this folder begins with: a closed world, in which nothing of the user may be left after a test.
 *
 * SLIPWAY_BIN names another daemon with the same command line, such as /usr/bin/slirp4netns: then these tests describe
 * that one.
 */
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest'
import { ClosedWorld, type Process } from './closed-world.ts'

/** The daemon under test is not ours. */
export const peer: string | undefined = process.env.SLIPWAY_BIN || undefined

/** What makes the world, besides what is asked for. */
const PROGRAMS = ['unshare', 'nsenter', 'setpriv', 'catatonit', 'busybox', 'ip', 'newuidmap']

export class Lab {
  world!: ClosedWorld
  /** Ends what a test has started; what is left then is a failure. */
  tidy: () => Promise<void> = async () => {}

  /** The program under test. */
  get binary(): string {
    return peer ?? join(this.world.bin, 'slipway')
  }

  /** The daemons that run: what was started as `name`, or the program under test. */
  async daemons(name: string = this.binary): Promise<Process[]> {
    const processes = await this.world.processes()
    return processes.filter(({ argv }) => argv[0] === name || argv[1] === name)
  }

  /** What runs as the user, but for the process that keeps Podman's user namespace. */
  async running(): Promise<Process[]> {
    const processes = await this.world.processes()
    return processes.filter(({ argv }) => argv.join(' ') !== 'catatonit -P')
  }

  /** Waits, at most 5 s, until nothing of the user runs. */
  async quiet(): Promise<string[]> {
    let left: Process[] = []
    for (let waited = 0; waited < 5_000; waited += 50) {
      left = await this.running()
      if (left.length === 0) return []
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return left.map(({ pid, argv }) => `${pid} ${argv.join(' ')}`)
  }
}

/** Runs `body` in a world in which these programs are installed, or says why it cannot. */
export function inClosedWorld(
  programs: readonly string[],
  prepare: (lab: Lab) => Promise<void>,
  body: (lab: Lab) => void,
): void {
  const lab = new Lab()
  const obstacle = obstacleFor(programs)
  if (obstacle) {
    describe.skip(`in a closed world (skipped: ${obstacle})`, () => body(lab))
    return
  }
  describe('in a closed world', () => {
    beforeAll(async () => {
      lab.world = await ClosedWorld.open()
      await prepare(lab)
    })
    afterEach(async () => {
      await lab.tidy()
      expect(await lab.quiet(), 'nothing is left behind').toEqual([])
    })
    afterAll(() => lab.world?.close())
    body(lab)
  })
}

/** In CI what is missing is a failure. */
function obstacleFor(programs: readonly string[]): string | undefined {
  const missing = [...PROGRAMS, ...programs].filter((program) => !isInstalled(program))
  if (missing.length > 0) {
    const obstacle = `${missing.join(', ')}: not installed`
    if (process.env.SLIPWAY_CI) throw new Error(obstacle)
    return obstacle
  }
  if (process.getuid!() !== 0) return 'only root can make a closed world with users of its own'
  const { status, stderr } = spawnSync('unshare', [...PLACE, 'sh', '-ec', TRIAL], {
    encoding: 'utf8',
  })
  return status === 0 ? undefined : `this root cannot make a closed world: ${stderr.trim()}`
}

/** What a root without all capabilities may not do: that of most containers. */
const PLACE = ['--net', '--mount', '--pid', '--ipc', '--uts', '--fork', '--mount-proc']
const TRIAL = `
  mount --make-rprivate /
  mount -t tmpfs trial /dev/net
  mknod /dev/net/tun c 10 200
  : <>/dev/net/tun
  mount -t cgroup2 trial /dev/net
  ip link add trial0 type veth peer name trial1`

function isInstalled(program: string): boolean {
  const path = `${process.env.PATH ?? ''}:${HELPERS}:${DOCKER}:/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin`
  return path.split(':').some((folder) => fs.existsSync(join(folder, program)))
}

/** Where Podman's helpers are. */
const HELPERS = '/usr/lib/podman:/usr/libexec/podman'

/** Where Docker's programs are, besides the usual places; SLIPWAY_DOCKER has them when they are not installed. */
export const DOCKER: string = ['bin', 'sbin', 'share/docker.io/contrib']
  .map((folder) => `${process.env.SLIPWAY_DOCKER ?? ''}/usr/${folder}`)
  .join(':')

/** Tries until it does not throw and `holds`; the last failure is thrown after `limit` ms. */
export async function eventually<T>(
  attempt: () => Promise<T>,
  holds: (value: T) => boolean = () => true,
  limit: number = 10_000,
): Promise<T> {
  for (const end = Date.now() + limit; ; ) {
    try {
      const value = await attempt()
      if (holds(value) || Date.now() > end) return value
    } catch (error) {
      if (Date.now() > end) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
