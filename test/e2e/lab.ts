/**
 * What every end-to-end test begins with: a world (src/lab/world.ts) made by root and one made by an ordinary user.
 *
 * SLIPWAY_BIN names another daemon with the same command line, such as slirp4netns: then these tests describe that.
 */
import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest'
import { built } from '../../src/lab/agent.ts'
import type { Daemon, DaemonOptions } from '../../src/lab/daemon.ts'
import { become, explain, preflight } from '../../src/lab/preflight.ts'
import { execute } from '../../src/lab/program.ts'
import { type ContainerOptions, type Identity, type Namespace, World } from '../../src/lab/world.ts'

export { GATEWAY, HOST_ADDRESS } from '../../src/lab/world.ts'

export const DNS = '10.0.2.3'
export const GUEST = '10.0.2.100'

const TEST_USER = 'slipway-test'

/** What dist/ needs at run time. */
const DEPENDENCIES = ['koffi', '@koromix', 'ip-address', 'tldts', 'tldts-core'].map(
  (name) => `node_modules/${name}`,
)

/** The daemon under test is not ours: what slipway does better on purpose is not asked of it. */
export const peer: string | undefined = process.env.SLIPWAY_BIN || undefined

export interface Pair {
  guest: Namespace
  daemon: Daemon
}

export class Lab {
  world!: World
  /** One container with one daemon, both with default options, for all tests of a file that need no other. */
  pair!: Pair
  #added: Pair[] = []

  get host(): Namespace {
    return this.world.host
  }

  get guest(): Namespace {
    return this.pair.guest
  }

  get daemon(): Daemon {
    return this.pair.daemon
  }

  /** A container and a daemon of its own, for one test. */
  async attach(options: DaemonOptions = {}, container: ContainerOptions = {}): Promise<Pair> {
    const guest = await this.world.container(container)
    const daemon = await this.world.attach(guest, options)
    const pair = { guest, daemon }
    this.#added.push(pair)
    return pair
  }

  async removeAdded(): Promise<void> {
    for (const { guest, daemon } of this.#added.splice(0)) await this.world.remove(guest, daemon)
  }
}

/** Runs `body` for root and for an ordinary user, each in its own world, or says why it cannot. */
export function inWorlds(body: (lab: Lab) => void, options: { shared?: DaemonOptions } = {}): void {
  for (const { identity, obstacle } of identities) {
    if (obstacle) {
      describe.skip(`as ${identity.name} (skipped: ${obstacle})`, () => body(new Lab()))
      continue
    }
    describe(`as ${identity.name}`, () => {
      const lab = new Lab()
      beforeAll(async () => {
        lab.world = await World.open(identity)
        const guest = await lab.world.container()
        lab.pair = { guest, daemon: await lab.world.attach(guest, options.shared) }
      })
      afterEach(() => lab.removeAdded())
      afterAll(async () => {
        const running = lab.daemon.program.running
        await lab.world.close()
        expect(running, 'the shared daemon lived to the end').toBe(true)
      })
      body(lab)
    })
  }
}

/** Runs shell commands that have to succeed, and say nothing against it. */
export async function shell(place: Namespace, script: string): Promise<void> {
  const { status, stderr } = await place.execute(['sh', '-ec', script])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
}

/** Whether a program is there to be run; tests of real clients are skipped without it, in CI they fail. */
export function has(program: string): boolean {
  const found = (process.env.PATH ?? '')
    .split(':')
    .some((directory) => fs.existsSync(`${directory}/${program}`))
  if (!found && process.env.SLIPWAY_CI) throw new Error(`${program} is not installed`)
  return found
}

const identities = await chooseIdentities()

interface Choice {
  identity: Identity
  obstacle: string | undefined
}

async function chooseIdentities(): Promise<Choice[]> {
  const uid = process.getuid!()
  const itself = { name: uid === 0 ? 'root' : 'an ordinary user', uid, gid: process.getgid!() }
  const choices = [itself]
  if (uid === 0) choices.push(ordinaryUser())
  return Promise.all(
    choices.map(async (identity) => ({ identity, obstacle: await obstacleFor(identity) })),
  )
}

async function obstacleFor(identity: Identity): Promise<string | undefined> {
  if (identity.uid < 0) return `cannot add the user ${TEST_USER}`
  const obstacle = await preflight(identity)
  if (obstacle) return explain(obstacle)
  if (await canRun(identity)) return undefined
  process.env.SLIPWAY_DIST = copyForEverybody()
  if (await canRun(identity)) return undefined
  return `this user cannot run ${process.execPath} ${built('cli.js')}`
}

async function canRun(identity: Identity): Promise<boolean> {
  const command = [...become(identity), process.execPath, '--check', built('cli.js')]
  return (await execute(command)).status === 0
}

/** A checkout below somebody's private directory cannot be read by others: dist/ and what it needs, where it can. */
function copyForEverybody(): string {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  const copy = fs.mkdtempSync(join(tmpdir(), 'slipway-dist-'))
  afterAll(() => fs.rmSync(copy, { recursive: true, force: true }))
  fs.chmodSync(copy, 0o755)
  for (const path of ['package.json', 'dist', ...DEPENDENCIES]) {
    fs.cpSync(join(root, path), join(copy, path), { recursive: true })
  }
  return join(copy, 'dist')
}

function ordinaryUser(): Identity {
  const name = 'an ordinary user'
  const entry = passwdEntry()
  if (entry) return { name, ...entry }
  try {
    execFileSync('useradd', ['--system', '--no-create-home', '--user-group', TEST_USER], {
      stdio: 'ignore',
    })
  } catch {
    // Another test file may have added it at the same time.
  }
  return { name, ...(passwdEntry() ?? { uid: -1, gid: -1 }) }
}

function passwdEntry(): { uid: number; gid: number } | undefined {
  const line = fs
    .readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`${TEST_USER}:`))
  const [, , uid, gid] = line?.split(':') ?? []
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : undefined
}
