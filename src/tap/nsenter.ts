/**
 * Into the guest's network namespace by nsenter(1): a child goes there, opens what we want, and we
 * get its descriptors. It may enter a user namespace, which a process with threads may not.
 *
 * The credentials are kept: where our user is not mapped to root, exec then takes all capabilities
 * away, but to open the device none is needed. TUNSETIFF and the configuration are ours to do: we
 * have the capabilities over the namespace, as root in it or as its owner.
 */
import { ENOENT, EPERM, O_RDWR } from '../sys/constants.ts'
import { errnoFromText, type SystemError, systemError } from '../sys/errors.ts'
import { close, closeAll, setNonblocking } from '../sys/io.ts'
import { pidfdGetfd, pidfdOpen } from '../sys/namespaces.ts'
import { receiveDescriptors, senderArguments, socketPair } from '../sys/rights.ts'
import { Child } from '../sys/spawn.ts'
import { type Inside, insideOf, socketsOf, TUN_PATH, type Wanted } from './inside.ts'

// The child's descriptors.
const NETNS = 3
const USERNS = 4
const EXTRA = 5

/** What the script says in place of numbers. */
const NO_PERL = 'perl'

const WHAT = 'cannot enter the network namespace'

/** Only Perl, where there is one, makes sockets as fast as a shell opens a file. It is told family and type of each. */
const PERL = `
$| = 1;
while (@ARGV) {
  socket(my $s, shift, shift, 0) or die "socket: $!\\n";
  push @sockets, $s;
}
print join(" ", map(fileno($_), @sockets)), "\\n";
<STDIN>`
/** One socket of datagrams is what a Node can make by itself. */
const NODE =
  "const s=require('dgram').createSocket('udp4');" +
  's.bind(0,()=>{console.log(s._handle.fd);process.stdin.resume().on("end",()=>s.close())})'

/** Opens the device, says the numbers of the sockets, and waits until its input ends. */
const SCRIPT = `
exec ${EXTRA}<>${TUN_PATH} || exit 1
perl=$1 node=$2 program=$3
shift 3
[ $# != 0 ] || { echo; read -r _; exit 0; }
if command -v perl >/dev/null; then exec perl -e "$perl" "$@"; fi
[ $# = 2 ] || { echo ${NO_PERL}; exit 0; }
exec "$node" -e "$program"
`

/**
 * A shell opens, and pidfd_getfd(2) takes over. `userns` is -1 when it is the one where we are.
 * Rejects with ENOENT when there is no nsenter, or no Perl where one is needed.
 */
export async function openByNsenter(
  netns: number,
  userns: number,
  wanted: Wanted,
): Promise<Inside> {
  const sockets = socketsOf(wanted).flat().map(String)
  const script = ['sh', '-c', SCRIPT, 'sh', PERL, process.execPath, NODE, ...sockets]
  const child = enter(netns, userns, -1, script)
  try {
    const line = await child.line()
    if (line === undefined) throw explain(await child.complaint())
    if (line === NO_PERL) throw systemError(ENOENT, 'perl', WHAT)
    const numbers = line.split(' ').filter((text) => text !== '')
    const [tun = -1, ...opened] = takeOver(child.pid, [EXTRA, ...numbers.map(Number)])
    return insideOf(wanted, tun, opened)
  } finally {
    child.end()
  }
}

/** Ours of the child's descriptors. */
function takeOver(pid: number, theirs: readonly number[]): number[] {
  const pidfd = pidfdOpen(pid)
  const ours: number[] = []
  try {
    for (const fd of theirs) ours.push(pidfdGetfd(pidfd, fd))
    for (const fd of ours.slice(1)) setNonblocking(fd)
    return ours
  } catch (error) {
    closeAll(ours)
    throw error
  } finally {
    close(pidfd)
  }
}

/** A second Node opens, and sends over a socket: slow, but needs no pidfd_getfd. */
export async function openByRights(netns: number, userns: number, wanted: Wanted): Promise<Inside> {
  const [ours, theirs] = socketPair()
  try {
    const sockets = socketsOf(wanted)
    const sender = senderArguments(TUN_PATH, O_RDWR, sockets, EXTRA)
    const child = enter(netns, userns, theirs, [process.execPath, ...sender])
    const complaint = await child.complaint()
    if (child.end() !== 0) throw explain(complaint)
    const [tun = -1, ...opened] = receiveDescriptors(ours, 1 + sockets.length)
    for (const fd of opened) setNonblocking(fd)
    return insideOf(wanted, tun, opened)
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
