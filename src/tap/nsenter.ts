/**
 * Into the guest's network namespace by nsenter(1): a child goes there, opens what we want, and we
 * get its descriptors. It may enter a user namespace, which a process with threads may not.
 *
 * The credentials are kept: where our user is not mapped to root, exec then takes all capabilities
 * away, but to open the device none is needed. TUNSETIFF and the configuration are ours to do: we
 * have the capabilities over the namespace, as root in it or as its owner.
 */
import { EPERM, O_RDWR } from '../sys/constants.ts'
import { errnoFromText, type SystemError, systemError } from '../sys/errors.ts'
import { close, closeAll } from '../sys/io.ts'
import { pidfdGetfd, pidfdOpen } from '../sys/namespaces.ts'
import { receiveDescriptors, senderArguments, socketPair } from '../sys/rights.ts'
import { Child } from '../sys/spawn.ts'
import { type Inside, TUN_PATH } from './inside.ts'

// The child's descriptors.
const NETNS = 3
const USERNS = 4
const EXTRA = 5

const WHAT = 'cannot enter the network namespace'

/** Only Perl, where there is one, makes a socket as fast as a shell opens a file; else a Node does. */
const PERL = '$|=1; socket(S,2,2,0) or die "socket: $!\\n"; print fileno(S),"\\n"; <STDIN>'
const NODE =
  "const s=require('dgram').createSocket('udp4');" +
  's.bind(0,()=>{console.log(s._handle.fd);process.stdin.resume().on("end",()=>s.close())})'

/** Opens the device, says the number of the socket or -1, and waits until its input ends. */
const SCRIPT = `
exec ${EXTRA}<>${TUN_PATH} || exit 1
if [ "$1" = 0 ]; then echo -1; read -r _; exit 0; fi
if command -v perl >/dev/null; then exec perl -e "$2"; fi
exec "$3" -e "$4"
`

/**
 * A shell opens, and pidfd_getfd(2) takes over. `userns` is -1 when it is the one where we are.
 * Rejects with ENOENT when there is no nsenter.
 */
export async function openByNsenter(
  netns: number,
  userns: number,
  wantSocket: boolean,
): Promise<Inside> {
  const script = ['sh', '-c', SCRIPT, 'sh', wantSocket ? '1' : '0', PERL, process.execPath, NODE]
  const child = enter(netns, userns, -1, script)
  try {
    const socket = await child.line()
    if (socket === undefined) throw explain(await child.complaint())
    return takeOver(child.pid, Number(socket))
  } finally {
    child.end()
  }
}

function takeOver(pid: number, socket: number): Inside {
  const pidfd = pidfdOpen(pid)
  let tun = -1
  try {
    tun = pidfdGetfd(pidfd, EXTRA)
    return { tun, socket: socket < 0 ? -1 : pidfdGetfd(pidfd, socket) }
  } catch (error) {
    if (tun >= 0) close(tun)
    throw error
  } finally {
    close(pidfd)
  }
}

/** A second Node opens, and sends over a socket: slow, but needs no pidfd_getfd. */
export async function openByRights(
  netns: number,
  userns: number,
  wantSocket: boolean,
): Promise<Inside> {
  const [ours, theirs] = socketPair()
  try {
    const sender = senderArguments(TUN_PATH, O_RDWR, wantSocket, EXTRA)
    const child = enter(netns, userns, theirs, [process.execPath, ...sender])
    const complaint = await child.complaint()
    if (child.end() !== 0) throw explain(complaint)
    const fds = receiveDescriptors(ours)
    const [tun, socket = -1] = fds
    if (tun !== undefined && fds.length === (wantSocket ? 2 : 1)) return { tun, socket }
    closeAll(fds)
    throw new Error(`${WHAT}: ${fds.length} descriptors came`)
  } finally {
    close(ours)
    close(theirs)
  }
}

function enter(netns: number, userns: number, extra: number, command: readonly string[]): Child {
  const options = ['--preserve-credentials', `-n/proc/self/fd/${NETNS}`]
  if (userns >= 0) options.push(`-U/proc/self/fd/${USERNS}`)
  try {
    return new Child({
      file: 'nsenter',
      args: [...options, ...command],
      environment: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
      descriptors: [netns, userns, extra],
    })
  } catch (error) {
    const { errno, syscall } = error as SystemError
    throw errno === undefined ? error : systemError(errno, syscall, WHAT)
  }
}

/** `complaint` is what the child has written on stderr. */
function explain(complaint: string): SystemError {
  const text = complaint.trim()
  const error = systemError(errnoFromText(text) ?? EPERM, 'nsenter', WHAT)
  if (text !== '') error.message = `${WHAT}: ${error.code} (${text})`
  return error
}
