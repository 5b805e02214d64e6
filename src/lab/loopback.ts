/** Brings up the loopback of the network namespace that this process stands in, without an `ip` program. */
import { AF_INET, SOCK_DGRAM } from '../sys/constants.ts'
import { close } from '../sys/io.ts'
import { ioctl } from '../sys/ioctl.ts'
import { socket } from '../sys/socket.ts'

const SIOCSIFFLAGS = 0x8914
const SIOCSIFADDR = 0x8916
const SIOCSIFNETMASK = 0x891c
const IFF_UP = 0x1
const IFF_RUNNING = 0x40

/** `struct ifreq`: a name of 16 octets, then a sockaddr or what else the request is about. */
const IFREQ_LEN = 40

/** Up, with 127.0.0.1 and one more address. */
export function loopbackUp(address: string): void {
  const fd = socket(AF_INET, SOCK_DGRAM)
  try {
    ioctl(fd, SIOCSIFFLAGS, 'SIOCSIFFLAGS', ifreq('lo', [IFF_UP | IFF_RUNNING, 0]))
    ioctl(fd, SIOCSIFADDR, 'SIOCSIFADDR', ifreq('lo:1', sockaddr(address)))
    ioctl(fd, SIOCSIFNETMASK, 'SIOCSIFNETMASK', ifreq('lo:1', sockaddr('255.255.255.255')))
  } finally {
    close(fd)
  }
}

function sockaddr(address: string): number[] {
  return [AF_INET, 0, 0, 0, ...address.split('.').map(Number)]
}

function ifreq(name: string, value: readonly number[]): Uint8Array {
  const struct = new Uint8Array(IFREQ_LEN)
  struct.set(new TextEncoder().encode(name))
  struct.set(value, 16)
  return struct
}
