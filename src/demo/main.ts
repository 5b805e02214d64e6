/**
 * `npm run demo`: rootless containers on slipway, step by step, with what was measured.
 *
 * Everything happens in a private world (lab/world.ts): the "host" is a network namespace with a web server and a name
 * server, so nothing of the machine's network is used or touched, and nothing is left. Needs Node, this checkout and
 * util-linux; runs as root or as an ordinary user.
 */
import * as os from 'node:os'
import type { Daemon } from '../lab/daemon.ts'
import { serveDns } from '../lab/dns-server.ts'
import { preflight } from '../lab/preflight.ts'
import { GATEWAY, HOST_ADDRESS, type Namespace, World } from '../lab/world.ts'
import { bold, dim, done, fact, failed, heading, ms, say, size } from './report.ts'
import * as tasks from './tasks.ts'

const BULK = 256 << 20
/** Sent before, unmeasured: the programs at both ends are Node, too, and begin slowly. */
const WARM_UP = 64 << 20
const NAME = 'shop.slipway.example'

interface Container {
  name: string
  place: Namespace
  daemon: Daemon
}

let failures = 0
let interrupted = false

main().then(
  () => {
    process.exitCode = failures === 0 ? 0 : 1
  },
  (error: Error) => {
    failed('the demo cannot go on', error.message)
    process.exitCode = 1
  },
)

async function main(): Promise<void> {
  const started = performance.now()
  const uid = process.getuid!()
  const who = uid === 0 ? 'root' : `the ordinary user ${os.userInfo().username} (uid ${uid})`
  say(
    `\n  ${bold('slipway')} ${dim('· the network of rootless containers, in user space, in TypeScript')}`,
  )
  say(`  ${dim(`Node ${process.versions.node} · Linux ${os.release()} · as ${who}`)}`)

  const obstacle = await preflight()
  if (obstacle) {
    say()
    failed(`this machine does not allow it: ${obstacle.what}`, `What to do: ${obstacle.remedy}.`)
    say()
    failures++
    return
  }

  const world = await World.open()
  const interrupt = (): void => {
    interrupted = true
    void world.close().finally(() => process.exit(130))
  }
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  try {
    await show(world)
  } finally {
    heading('The end')
    await step('everything is ended, and nothing is left behind', async () => {
      const before = performance.now()
      await world.close()
      return { measured: ms(performance.now() - before) }
    })
  }
  if (interrupted) return say(`\n  ${bold('Interrupted.')} ${dim('Everything is ended.')}\n`)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const verdict =
    failures === 0 ? 'Every step worked' : `${failures} step${failures > 1 ? 's' : ''} failed`
  say(`\n  ${bold(`${verdict}.`)} ${dim(`${seconds} s`)}\n`)
}

async function show(world: World): Promise<void> {
  heading('A host and a container')
  await step('a private "host": loopback, a web server, a name server', async () => {
    await world.host.run(tasks.servePage, 'a page of the host', 8000)
    await world.host.run(serveDns, { [NAME]: [HOST_ADDRESS] })
    return { facts: [`namespaces of our own; its addresses are 127.0.0.1 and ${HOST_ADDRESS}`] }
  })
  const a = await attach(world, 'A', [])
  if (!a) return

  heading('Out of the container')
  await step('the container fetches a page from the host', async () => {
    const page = await a.place.run(tasks.fetchPage, GATEWAY, 8000)
    expect(page.text, 'a page of the host')
    return { measured: ms(page.ms), facts: [`http://${GATEWAY}:8000/ → "${page.text}"`] }
  })
  await step('a name is resolved, and fetched from', async () => {
    const { addresses, ms: took } = await a.place.run(tasks.resolveName, NAME)
    expect(addresses.join(), HOST_ADDRESS)
    const page = await a.place.run(tasks.fetchPage, NAME, 8000)
    expect(page.text, 'a page of the host')
    return { measured: ms(took), facts: [`${NAME} → ${addresses[0]}, asked at 10.0.2.3`] }
  })

  heading('Into the container')
  await step('the host fetches a page from the container, through a published port', async () => {
    await a.place.run(tasks.servePage, 'a page of container A', 80)
    await a.daemon.forward({ hostPort: 8080, guestPort: 80 })
    const page = await world.host.run(tasks.fetchPage, HOST_ADDRESS, 8080)
    expect(page.text, 'a page of container A')
    const seen = `the container's server saw the client as ${page.client}`
    return { measured: ms(page.ms), facts: [`http://${HOST_ADDRESS}:8080/ → "${page.text}"`, seen] }
  })

  heading('Two containers')
  const b = await attach(world, 'B', ['--cidr=10.0.3.0/24'])
  if (b) await showTwo(a, b)

  heading(`${size(BULK)} each way, MTU 1500, after ${size(WARM_UP)} to warm up`)
  await step('from the container to the host, with equal hashes', () => bulk(world, a, 'up'))
  await step('from the host to the container, with equal hashes', () => bulk(world, a, 'down'))
}

async function attach(
  world: World,
  name: string,
  args: readonly string[],
): Promise<Container | undefined> {
  let container: Container | undefined
  await step(`container ${name} is made, and slipway attached to it`, async () => {
    const place = await world.container()
    const before = await place.run(tasks.describeInterfaces)
    expect(before.join(), '')
    const daemon = await world.attach(place, { args })
    container = { name, place, daemon }
    const [tap] = await place.run(tasks.describeInterfaces)
    if (tap === undefined) throw new Error('there is no interface in the container')
    return {
      measured: ms(daemon.readyAfter),
      facts: [
        `its network: ${tap}, and nothing before`,
        `slipway is process ${daemon.pid}, uid ${process.getuid!()}`,
      ],
    }
  })
  return container
}

async function showTwo(a: Container, b: Container): Promise<void> {
  await b.place.run(tasks.servePage, 'a page of container B', 80)
  await step('A cannot reach B directly', async () => {
    const attempt = await a.place.run(tasks.fetchPage, '10.0.3.100', 80).catch((error) => error)
    if (!(attempt instanceof Error)) throw new Error('A fetched a page from 10.0.3.100:80')
    const reason = (attempt as NodeJS.ErrnoException).code ?? attempt.message
    return { facts: [`http://10.0.3.100/ → ${reason}`] }
  })
  await step('A reaches B through a port that B has published', async () => {
    await b.daemon.forward({ hostPort: 8081, guestPort: 80 })
    const page = await a.place.run(tasks.fetchPage, HOST_ADDRESS, 8081)
    expect(page.text, 'a page of container B')
    return { measured: ms(page.ms), facts: [`http://${HOST_ADDRESS}:8081/ → "${page.text}"`] }
  })
}

async function bulk(world: World, { place }: Container, way: 'up' | 'down'): Promise<Shown> {
  const move = async (octets: number): Promise<{ host: tasks.Transfer; guest: tasks.Transfer }> => {
    const port = await world.host.run(tasks.serveTransfer, way, octets)
    const guest = await place.run(tasks.transfer, GATEWAY, port, way, octets)
    return { guest, host: await world.host.run(tasks.served) }
  }
  await move(WARM_UP)
  const { host, guest } = await move(BULK)
  const { octets, ms: took } = way === 'up' ? host : guest
  expect(`${octets}`, `${BULK}`)
  expect(host.hash, guest.hash)
  return {
    measured: `${((octets * 8) / took / 1e6).toFixed(2)} Gbit/s`,
    facts: [`SHA-256 ${host.hash.slice(0, 16)}… at both ends`],
  }
}

interface Shown {
  measured?: string
  facts?: string[]
}

/** Does it, within 30 s, and says how it went. */
async function step(text: string, act: () => Promise<Shown>): Promise<void> {
  if (interrupted) return
  let timer: NodeJS.Timeout | undefined
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it took more than 30 s')), 30_000)
  })
  try {
    const { measured, facts = [] } = await Promise.race([act(), tooLong])
    done(text, measured)
    for (const line of facts) fact(line)
  } catch (error) {
    failures++
    if (!interrupted) failed(text, (error as Error).message)
  } finally {
    clearTimeout(timer)
  }
}

function expect(found: string, wanted: string): void {
  if (found !== wanted) throw new Error(`expected "${wanted}", found "${found}"`)
}
