/**
 * The command on a TAP that somebody else has opened: a runtime opens the device in the container's namespace, takes the
 * descriptor, and the daemon inherits it. So the daemon needs no right to enter anything, only an open file.
 *
 *     node scripts/run.mjs examples/daemon.ts
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import koffi from 'koffi'
import { startContainer } from './container.ts'

const DAEMON = fileURLToPath(new URL('../dist/cli.js', import.meta.url))

/** System calls that Node does not have; numbers and values are those of x86-64 and arm64. */
const libc = koffi.load(null)
const syscall = libc.func('int64_t syscall(int64_t, int64_t, int64_t, int64_t)')
const ioctl = libc.func('int ioctl(int, uint64_t, uint8_t *)')
const PIDFD_OPEN = 434
const PIDFD_GETFD = 438
const TUNSETIFF = 0x400454ca
const IFF_TAP = 0x0002
const IFF_NO_PI = 0x1000
const IFF_VNET_HDR = 0x4000

/** Opens a TAP in the container's namespace: descriptor 3 of a process in there becomes one of ours. */
async function openTap(opener: ChildProcess, name: string): Promise<number> {
  await once(opener.stdout!, 'data')
  const pidfd = check(Number(syscall(PIDFD_OPEN, opener.pid!, 0, 0)), 'pidfd_open')
  const tap = check(Number(syscall(PIDFD_GETFD, pidfd, 3, 0)), 'pidfd_getfd')
  closeSync(pidfd)
  opener.stdin!.end()
  const request = Buffer.alloc(40) // struct ifreq
  request.write(name)
  request.writeUInt16LE(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, 16)
  check(ioctl(tap, TUNSETIFF, request), 'ioctl(TUNSETIFF)')
  return tap
}

function check(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: errno ${koffi.errno()}`)
  return result
}

const server = createServer((_, response) => response.end('hello from the host\n'))
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const { port } = server.address() as AddressInfo

const container = await startContainer()
try {
  const enter = ['--preserve-credentials', '-U', '-n', '-t', `${container.pid}`, '--']
  const script = 'exec 3<>/dev/net/tun; echo open; exec cat'
  const opener = spawn('nsenter', [...enter, 'sh', '-c', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const tap = await openTap(opener, 'tap0')

  // Descriptors 3 to 5 of the daemon: the TAP; where it says that it is ready; what it ends with.
  const words = ['--netns-type=tapfd', '--ready-fd=4', '--exit-fd=5', '3']
  const daemon = spawn(process.execPath, [DAEMON, ...words], {
    stdio: ['ignore', 'ignore', 'inherit', tap, 'pipe', 'pipe'],
  })
  const [, , , , ready, life] = daemon.stdio as unknown as Duplex[]
  closeSync(tap)
  await once(ready!, 'data')
  console.log('the daemon is ready')

  // Who opens a TAP configures it.
  const configure = `ip link set lo up; ip link set tap0 up; ip addr add 10.0.2.100/24 dev tap0
    ip route add default via 10.0.2.2`
  await container.run('sh', '-ec', configure)
  const fetching = `fetch('http://10.0.2.2:${port}/').then((r) => r.text()).then((text) => process.stdout.write(text))`
  process.stdout.write(await container.run(process.execPath, '-e', fetching))

  const ended = once(daemon, 'exit')
  life!.destroy()
  console.log(`the daemon has ended with ${(await ended)[0]}`)
} finally {
  container.end()
  server.close()
}
