/**
 * A chain of routers behind the "host", made of namespaces:
 *
 *   guest ── slipway at the host ── r1 ── r2 ── target
 *                          10.9.1.1│.2 10.9.2.1│.2 10.9.3.1│.2        and 2001:db8:1::1 … the same way
 *
 * The link in the middle may have a smaller MTU than the others.
 */
import type { Namespace } from '../../src/lab/world.ts'
import type { Lab } from './lab.ts'

export const ROUTERS = ['10.9.1.2', '10.9.2.2'] as const
export const TARGET = '10.9.3.2'
export const ROUTERS6 = ['2001:db8:1::2', '2001:db8:2::2'] as const
export const TARGET6 = '2001:db8:3::2'
/** Networks that the first router forbids. */
export const PROHIBITED = '10.9.7.1'
export const PROHIBITED6 = '2001:db8:7::1'
/** Of the link between the routers. */
export const PATH_MTU = 1400

/** Makes the chain; answers the target's namespace. */
export async function addRouters({ world, host }: Lab): Promise<Namespace> {
  const chain = [host, await world.inner(host), await world.inner(host), await world.inner(host)]
  for (const [i, left] of chain.entries()) {
    const right = chain[i + 1]
    if (right === undefined) break
    const mtu = i === 1 ? PATH_MTU : 1500
    await configure(
      left,
      `ip link add right${i} mtu ${mtu} type veth peer name left${i} mtu ${mtu} netns ${right.pid}
       ${address(`right${i}`, i + 1, 1)}`,
    )
    await configure(right, `ip link set lo up; ${address(`left${i}`, i + 1, 2)}`)
  }
  for (const [i, namespace] of chain.entries()) {
    const toRight = [1, 2, 3].slice(i + 1).map((link) => route(link, i + 1, 2))
    const toLeft = [1, 2, 3].slice(0, Math.max(0, i - 1)).map((link) => route(link, i, 1))
    await configure(namespace, [...toRight, ...toLeft].join('\n'))
    if (i > 0) await configure(namespace, FORWARD)
  }
  await configure(
    host,
    `ip route add ${PROHIBITED} via ${ROUTERS[0]}; ip route add ${PROHIBITED6} via ${ROUTERS6[0]}`,
  )
  await configure(
    chain[1]!,
    `ip route add prohibit ${PROHIBITED}; ip -6 route add prohibit ${PROHIBITED6}`,
  )
  return chain[3]!
}

const address = (name: string, link: number, end: number): string =>
  `ip addr add 10.9.${link}.${end}/24 dev ${name}
   ip addr add 2001:db8:${link}::${end}/64 dev ${name} nodad
   ip link set ${name} up`

const route = (link: number, via: number, end: number): string =>
  `ip route add 10.9.${link}.0/24 via 10.9.${via}.${end}
   ip route add 2001:db8:${link}::/64 via 2001:db8:${via}::${end}`

/** Forwards, and answers every packet that it does not forward. */
const FORWARD = `
  cd /proc/sys/net
  echo 1 > ipv4/ip_forward
  echo 1 > ipv6/conf/all/forwarding
  echo 0 > ipv4/icmp_ratemask
  echo 0 > ipv6/icmp/ratelimit`

async function configure(namespace: Namespace, script: string): Promise<void> {
  const { status, stderr } = await namespace.execute(['sh', '-ec', script])
  if (status !== 0) throw new Error(`cannot make a chain of routers: ${stderr}\n${script}`)
}

/** The world's user may have ping sockets: its group ID is 0 in there. */
export async function permitPing(host: Namespace): Promise<void> {
  await host.run(({ fs }) => fs.writeFileSync('/proc/sys/net/ipv4/ping_group_range', '0 0'))
}
