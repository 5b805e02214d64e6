/** Another host beside the world's, at the other end of a cable that can be cut. */
import type { Namespace } from '../../src/lab/world.ts'
import type { Lab } from './lab.ts'

/** The other host's address, and one on the same cable that nobody has. */
export const BESIDE = '10.9.8.2'
export const NOBODY = '10.9.8.9'
/** A network that lies behind the other host, which tells nobody anything: silence. */
export const SILENT = '10.9.9.1'

/** Makes it; `name` is that of the cable's near end. */
export async function addHostBeside({ world, host }: Lab, name = 'beside0'): Promise<Namespace> {
  const beside = await world.inner(host)
  await must(
    host,
    `ip link add ${name} type veth peer name far0 netns ${beside.pid}
     ip addr add 10.9.8.1/24 dev ${name}; ip link set ${name} up
     ip route add ${SILENT} via ${BESIDE}`,
  )
  await must(beside, `ip link set lo up; ip addr add ${BESIDE}/24 dev far0; ip link set far0 up`)
  return beside
}

/** The other host is gone: it neither answers nor says so. */
export const cut = (beside: Namespace): Promise<void> => must(beside, 'ip link set far0 down')

/** Sets variables of the namespace's network: `ipv4/tcp_syn_retries=1`. */
export const setVariables = (namespace: Namespace, ...settings: string[]): Promise<void> =>
  must(
    namespace,
    settings.map((text) => text.replace(/(.*)=(.*)/, 'echo $2 > /proc/sys/net/$1')).join('\n'),
  )

async function must(namespace: Namespace, script: string): Promise<void> {
  const { status, stderr } = await namespace.execute(['sh', '-ec', script])
  if (status !== 0) throw new Error(`${stderr.trim()} of: ${script}`)
}
