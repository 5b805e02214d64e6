/**
 * A rootless container runtime: namespaces, a root file system, the network of slipway, published ports, and a command on
 * your terminal.
 *
 *     node scripts/run.mjs examples/runtime.ts [-p HOSTPORT:PORT] … [--rootfs DIRECTORY] [-- COMMAND [ARGUMENT …]]
 *
 * Without --rootfs the container sees the host's programs, read-only, and nothing else of it. The default command is a shell.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { attach } from 'slipway'

/** Runs in the new namespaces: makes the root, waits for the network, becomes the command. */
const INIT = `set -e
root=$1 rootfs=$2; shift 2
if [ -n "$rootfs" ]; then
  mount --rbind "$rootfs" "$root"
else
  mount -t tmpfs -o mode=755 container "$root"
  for name in usr bin sbin lib lib32 lib64; do
    if [ -L "/$name" ]; then cp -P "/$name" "$root"; continue; fi
    [ -d "/$name" ] || continue
    mkdir "$root/$name" && mount --rbind -o ro "/$name" "$root/$name"
    mount -o remount,bind,ro "$root/$name"
  done
  mkdir "$root/etc"
  echo 'root:x:0:0::/:/bin/sh' > "$root/etc/passwd"
fi
cd "$root"
mkdir -p proc dev tmp etc .old
for name in null zero full random urandom tty; do
  : > "dev/$name" && mount --bind "/dev/$name" "dev/$name"
done
mount -t proc proc proc
mount -t tmpfs -o mode=1777 tmp tmp
[ -n "$rootfs" ] || echo "nameserver 10.0.2.3" > etc/resolv.conf
hostname container
pivot_root . .old
cd /
umount -l .old && rmdir .old 2>/dev/null || true
echo ready >&4
read -r go <&3
exec "$@" 3<&- 4>&-`

const { values, positionals } = parseArgs({
  options: {
    publish: { type: 'string', short: 'p', multiple: true, default: [] },
    rootfs: { type: 'string', default: '' },
  },
  allowPositionals: true,
})
const command = positionals.length > 0 ? positionals : ['sh']

const root = mkdtempSync(join(tmpdir(), 'container-'))
const spaces = ['--user', '--map-root-user', '--net', '--mount', '--pid', '--uts', '--ipc']
const container = spawn(
  'unshare',
  [...spaces, '--fork', '--kill-child', 'sh', '-c', INIT, 'init', root, values.rootfs, ...command],
  {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe', 'pipe'],
    env: { TERM: process.env.TERM, PATH: '/usr/bin:/bin:/usr/sbin:/sbin' },
  },
)
const [, , , go, ready] = container.stdio as [
  null,
  null,
  null,
  NodeJS.WritableStream,
  NodeJS.ReadableStream,
]
process.on('SIGINT', () => {}) // of the terminal: that is for the command
process.on('SIGTERM', () => container.kill('SIGTERM'))

const ended = once(container, 'exit')
try {
  const isReady = await Promise.race([once(ready, 'data'), ended.then(() => undefined)])
  if (isReady) {
    // unshare itself stands in the namespaces, too.
    const network = await attach({ target: { pid: container.pid! } })
    try {
      for (const mapping of values.publish) {
        const [hostPort, guestPort] = mapping.split(':').map(Number)
        await network.forwards.add({ hostPort, guestPort: guestPort ?? hostPort! })
      }
      go.write('go\n')
      await ended
    } finally {
      await network.close()
    }
  }
} finally {
  container.kill('SIGKILL')
  const [status] = await ended
  rmdirSync(root)
  process.exitCode = status ?? 1
}
