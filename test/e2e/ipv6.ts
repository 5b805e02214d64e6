/** What tests of IPv6 have in common. */
import type { Namespace } from '../../src/lab/world.ts'

export const GATEWAY6 = 'fd00::2'
export const DNS6 = 'fd00::3'
/** An address of the "host" that is not its loopback (RFC 3849). */
export const HOST_ADDRESS6 = '2001:db8::1'

/** The global IPv6 address of tap0, as soon as duplicate address detection is over; or ''. */
export function address6(guest: Namespace, attempts = 40): Promise<string> {
  return addressOf(guest, '^fd00', attempts)
}

/** The same for the link-local address. */
export function linkLocal6(guest: Namespace, attempts = 40): Promise<string> {
  return addressOf(guest, '^fe80', attempts)
}

async function addressOf(guest: Namespace, pattern: string, attempts: number): Promise<string> {
  for (let i = 0; i < attempts; i++) {
    const found = await guest.run(({ fs }, pattern) => {
      const lines = fs.readFileSync('/proc/net/if_inet6', 'utf8').split('\n')
      const IFA_F_TENTATIVE = 0x40
      const isSettled = (line: string): boolean =>
        (Number.parseInt(line.split(/\s+/)[4] ?? '', 16) & IFA_F_TENTATIVE) === 0
      return lines.find((line) => line.match(`${pattern}.* tap0$`) && isSettled(line)) ?? ''
    }, pattern)
    if (found !== '') return found.slice(0, 32).replace(/(.{4})(?=.)/g, '$1:')
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  return ''
}

/** Gives the host of a world HOST_ADDRESS6. */
export async function addHostAddress6(host: Namespace): Promise<void> {
  const command = ['ip', 'addr', 'replace', `${HOST_ADDRESS6}/128`, 'dev', 'lo']
  const { status, stderr } = await host.execute(command)
  if (status !== 0) throw new Error(stderr)
}
