/** A veth pair: what the kernel does with nobody between, and what only root of the host can have. */
import { execute } from '../../../src/lab/program.ts'
import { GUEST_PORT } from '../iperf.ts'
import { type Contender, shell } from './contender.ts'

/** Not the others' subnet: here it is an address of the host. */
const GATEWAY = '10.9.8.1'
const GUEST = '10.9.8.2'

export const veth: Contender = {
  name: 'veth',
  hint: 'apt install iproute2',
  offers: ['gateway', 'forward'],
  async version() {
    const { stdout } = await execute(['ip', '-V']).catch(() => ({ stdout: '' }))
    return /iproute2-[^,\s]+/.exec(stdout)?.[0]
  },
  async start(world, { mtu }) {
    const guest = await world.container()
    await shell(
      world.host,
      'make a veth pair',
      `ip link add bench mtu ${mtu} type veth peer name tap0 mtu ${mtu} netns ${guest.pid}
       ip addr add ${GATEWAY}/24 dev bench
       ip link set bench up`,
    )
    await shell(
      guest,
      'configure the veth',
      `ip link set lo up
       ip addr add ${GUEST}/24 dev tap0
       ip link set tap0 up`,
    )
    return {
      pids: [],
      guest,
      gateway: GATEWAY,
      forward: { host: GUEST, port: GUEST_PORT },
      async stop() {
        await world.host.execute(['ip', 'link', 'delete', 'bench'])
        await guest.close()
      },
    }
  },
}
