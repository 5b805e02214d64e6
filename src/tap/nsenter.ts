/**
 * Way 2 into the guest's network namespace: nsenter(1) goes there, opens what we want and waits, and
 * we take its descriptors over with pidfd_getfd(2). It may enter a user namespace, which a process
 * with threads may not.
 *
 * The credentials are kept: where our user is not mapped to root, exec then takes all capabilities
 * away, but to open the device none is needed. TUNSETIFF and the configuration are ours to do: we
 * have the capabilities over the namespace, as root in it or as its owner.
 *
 * A shell opens the device. A shell cannot make a socket: Perl can, where there is one, else a
 * second Node does it, which takes 40 ms.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { ENOENT, EPERM } from '../sys/constants.ts'
import { errnoFromText, type SystemError, systemError } from '../sys/errors.ts'
import { close } from '../sys/io.ts'
import { pidfdGetfd, pidfdOpen } from '../sys/namespaces.ts'
import { type Inside, TUN_PATH } from './inside.ts'

const NETNS = 3
const USERNS = 4
const TUN = 5

const PERL = '$|=1; socket(S,2,2,0) or die "socket: $!\\n"; print fileno(S),"\\n"; <STDIN>'
const NODE =
  "const s=require('dgram').createSocket('udp4');" +
  's.bind(0,()=>{console.log(s._handle.fd);process.stdin.resume().on("end",()=>s.close())})'

/** Opens the device, says the number of the socket or -1, and waits until its input ends. */
const SCRIPT = `
exec ${TUN}<>${TUN_PATH} || exit 1
if [ "$1" = 0 ]; then echo -1; read -r _; exit 0; fi
if command -v perl >/dev/null; then exec perl -e "$2"; fi
exec "$3" -e "$4"
`

const WHAT = 'cannot enter the network namespace'

/** `userns` is -1 when it is the one where we are. Rejects with ENOENT when there is no nsenter. */
export async function openByNsenter(
  netns: number,
  userns: number,
  wantSocket: boolean,
): Promise<Inside> {
  const enter = ['--preserve-credentials', `-n/proc/self/fd/${NETNS}`]
  if (userns >= 0) enter.push(`-U/proc/self/fd/${USERNS}`)
  const script = ['sh', '-c', SCRIPT, 'sh', wantSocket ? '1' : '0', PERL, process.execPath, NODE]
  const child = spawn('nsenter', [...enter, ...script], {
    stdio: ['pipe', 'pipe', 'pipe', netns, userns >= 0 ? userns : 'ignore'],
    env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
  })
  try {
    const socket = await firstNumber(child)
    return takeOver(child.pid!, socket)
  } finally {
    child.stdin?.on('error', () => {}).end()
    child.stdout?.destroy()
    child.stderr?.destroy()
  }
}

/** What the child says first, or the reason why it ended instead. */
function firstNumber(child: ChildProcess): Promise<number> {
  let output = ''
  let complaint = ''
  return new Promise((resolve, reject) => {
    child.stdout!.on('data', (data) => {
      output += data
      if (output.endsWith('\n')) resolve(Number(output))
    })
    child.stderr!.on('data', (data) => {
      complaint += data
    })
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' ? systemError(ENOENT, 'nsenter', WHAT) : error)
    })
    child.once('close', () => reject(explain(complaint.trim())))
  })
}

function explain(complaint: string): SystemError {
  const error = systemError(errnoFromText(complaint) ?? EPERM, 'nsenter', WHAT)
  if (complaint !== '') error.message += `: ${complaint}`
  return error
}

function takeOver(pid: number, socket: number): Inside {
  const pidfd = pidfdOpen(pid)
  let tun = -1
  try {
    tun = pidfdGetfd(pidfd, TUN)
    return { tun, socket: socket < 0 ? -1 : pidfdGetfd(pidfd, socket) }
  } catch (error) {
    if (tun >= 0) close(tun)
    throw error
  } finally {
    close(pidfd)
  }
}
