/**
 * User Mode Linux, a kernel that runs as a program: its vector device speaks to a software switch, and `--target-type=bess`
 * is one. It is the client whose far side is not ours: its kernel makes and takes the frames itself.
 */
import { expect, test } from 'vitest'
import type { Kit } from '../../src/lab/agent.ts'
import { HOST, HOST6, INTERNET_NAME, INTERNET6 } from './closed-world.ts'
import { eventually, inClosedWorld, peer } from './lab.ts'
import { askHttp } from './tasks.ts'

const DHCP = '10.0.2.15'

const INIT = `#!/bin/sh
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t hostfs -o /usr none /usr
for module in lib/crc-ccitt net/ipv6/ipv6; do insmod /usr/lib/uml/modules/*/kernel/$module.ko; done
ip link set lo up
ip link set vec0 up
udhcpc -i vec0 -n -q -t 10 -T 1 -s /lease
echo "by name: $(curl -sS --max-time 10 http://${INTERNET_NAME}/)"
for i in 1 2 3 4 5 6 7 8 9; do
  ip -6 addr show vec0 | grep -v tentative | grep -q 'scope global' && break
  sleep 0.5
done
echo "by IPv6: $(curl -sSg --max-time 10 'http://[${INTERNET6}]/')"
echo "blob: $(curl -sS --max-time 30 http://${INTERNET_NAME}/blob | sha256sum)"
mkdir /www
echo 'from a machine' >/www/index.html
httpd -p 80 -h /www
echo listening
until ls / | grep -q done; do sleep 0.2; done
poweroff -f
`

const LEASE = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
ip route add default via "$router"
echo "nameserver $dns" >/etc/resolv.conf
`

const place: typeof inClosedWorld =
  process.arch === 'x64'
    ? inClosedWorld
    : () => test.skip('User Mode Linux (skipped: Debian has it for x86-64 only)', () => {})

place(
  ['linux.uml', 'curl'],
  async (lab) => {
    await lab.world.runScript('image.sh')
    const write = (name: string, input: string) =>
      lab.world.succeed(['sh', '-ec', `cat >image/${name}; chmod +x image/${name}`], { input })
    await write('lease', LEASE)
    await write('start', INIT)
  },
  (lab) => {
    test('a machine of User Mode Linux has its network, and its end is the daemon’s', {
      timeout: 120_000,
    }, async () => {
      const path = `${lab.world.home}/switch`
      const api = `${lab.world.home}/api`
      const line = [lab.binary, '--target-type=bess', '--enable-ipv6', '-a', api, path]
      const daemon = lab.world.start(line)
      await eventually(() => lab.world.succeed(['test', '-S', path]))
      const machine = lab.world.start([
        ...['linux.uml', 'mem=64M', 'rootfstype=hostfs', `rootflags=${lab.world.home}/image`, 'rw'],
        ...[
          'init=/start',
          'con=null',
          'con0=fd:0,fd:1',
          `vec0:transport=bess,dst=${path},depth=128`,
        ],
      ])
      const sum = await lab.world.internet.run(({ keep }) => keep.get('blob sha256') as string)
      await expect.poll(() => machine.stdout, { timeout: 60_000 }).toMatch(/^listening/m)
      const said = machine.stdout.replaceAll('\r', '')
      expect(said).toContain(`\nby name: {"client":"${HOST}"}\n`)
      expect(said).toContain(`\nby IPv6: {"client":"${HOST6}"}\n`)
      expect(said).toContain(`\nblob: ${sum} `)

      const forward = { proto: 'tcp', host_port: 8080, guest_addr: DHCP, guest_port: 80 }
      const request = { execute: 'add_hostfwd', arguments: forward }
      expect(await lab.world.host.run(ask, api, request)).toBe('{"return":{"id":1}}')
      expect(await lab.world.internet.run(askHttp, HOST, 8080)).toBe('from a machine\n')

      await lab.world.succeed(['touch', 'image/done'])
      await machine.ended
      if (peer)
        daemon.kill() // slirp4netns goes on, in a busy loop
      else {
        const { status, stderr } = await daemon.ended
        expect({ status, stderr }).toMatchObject({
          status: 1,
          stderr: expect.stringContaining('the peer of the BESS socket has gone'),
        })
      }
    })
  },
)

/** One request to an API socket. */
function ask({ net }: Kit, path: string, request: object): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = net.connect(path, () => socket.end(JSON.stringify(request)))
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
    socket.once('error', reject)
    socket.once('close', () => resolve(text))
  })
}
