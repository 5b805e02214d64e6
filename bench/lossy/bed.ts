/**
 * The test bed: a guest at the far end of a bad cable (relay.ts), and at the near end either slipway, with
 * the server on the host behind it, or just another kernel with the server.
 *
 *   server ─ slipway ─ tap0 ┐bridge, namespace "near"┌ near0 ═ relay ═ far0, namespace "guest" ─ client
 *                  server ─ kernel, namespace "near" ─ near0 ═ relay ═ far0, namespace "guest" ─ client
 */
import { fileURLToPath } from 'node:url'
import type { Program } from '../../src/lab/program.ts'
import { GATEWAY, type Namespace, type World } from '../../src/lab/world.ts'
import type { LinkOptions } from '../../test/stack/rig/lossy-link.ts'
import type { RelayOptions } from './relay.ts'

const GUEST = '10.0.2.100/24'
const RUN = fileURLToPath(new URL('../../scripts/run.mjs', import.meta.url))
const RELAY = fileURLToPath(new URL('relay.ts', import.meta.url))
const TRANSFER = fileURLToPath(new URL('transfer.py', import.meta.url))

export type Contender = 'slipway' | 'linux'
/** `down`: to the guest; `up`: from it. */
export type Direction = 'down' | 'up'

export class Bed {
  readonly #guest: Namespace
  readonly #port: string
  readonly #close: () => Promise<void>

  private constructor(guest: Namespace, port: string, close: () => Promise<void>) {
    this.#guest = guest
    this.#port = port
    this.#close = close
  }

  static async open(
    world: World,
    contender: Contender,
    link: LinkOptions,
    seed = 1,
    mtu = 1500,
  ): Promise<Bed> {
    const near = await world.container()
    const guest = await world.container()
    const options: RelayOptions = {
      ends: [
        { pid: near.pid, name: 'near0' },
        { pid: guest.pid, name: 'far0' },
      ],
      link,
      seed,
    }
    const relay = world.host.start([process.execPath, RUN, RELAY, JSON.stringify(options)])
    await says(relay, 'ready')
    await ip(
      guest,
      'link set lo up',
      `link set far0 mtu ${mtu} up`,
      `address add ${GUEST} dev far0`,
    )
    let server: Program
    let stop: () => Promise<unknown> = async () => {}
    if (contender === 'slipway') {
      const daemon = await world.attach(near, { configure: false, mtu })
      stop = () => daemon.stop()
      await ip(near, 'link add br0 type bridge', 'link set near0 master br0 up')
      await ip(near, `link set tap0 mtu ${mtu} master br0 up`, 'link set br0 up')
      server = world.host.start(['python3', TRANSFER, 'serve', '127.0.0.1'])
    } else {
      await ip(near, 'link set lo up', `link set near0 mtu ${mtu} up`)
      await ip(near, `address add ${GATEWAY}/24 dev near0`)
      server = near.start(['python3', TRANSFER, 'serve', GATEWAY])
    }
    const port = await says(server, 'listening at')
    return new Bed(guest, port, async () => {
      await stop()
      for (const program of [server, relay]) {
        program.kill('SIGKILL')
        await program.ended
      }
      await near.close()
      await guest.close()
    })
  }

  /** Mbit/s of text; throws when what arrived is not what was sent. */
  async transfer(direction: Direction, octets: number, limit = 600_000): Promise<number> {
    const command = ['python3', TRANSFER, direction, GATEWAY, this.#port, `${octets}`]
    const { stdout, stderr, signal } = await this.#guest.execute(command, { limit })
    if (stdout === '')
      throw new Error(`${direction}: ${signal ?? stderr.trim().split('\n').at(-1)}`)
    const { seconds, same } = JSON.parse(stdout) as { seconds: number; same: boolean }
    if (!same) throw new Error(`${direction}: what arrived has another hash`)
    return (octets * 8) / seconds / 1e6
  }

  close(): Promise<void> {
    return this.#close()
  }
}

async function ip(place: Namespace, ...commands: string[]): Promise<void> {
  for (const command of commands) {
    const { status, stderr } = await place.execute(['ip', ...command.split(' ')])
    if (status !== 0) throw new Error(`ip ${command}: ${stderr.trim()}`)
  }
}

/** What stands behind `text` in a line of the program. */
async function says(program: Program, text: string): Promise<string> {
  for (let waited = 0; waited < 30_000; waited += 10) {
    const [, rest] = new RegExp(`^${text}(.*)\\n`, 'm').exec(program.stdout) ?? []
    if (rest !== undefined) return rest.trim()
    if (!program.running) break
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`${program.child.spawnargs.at(-2)}: ${program.stderr.trim() || 'no answer'}`)
}
