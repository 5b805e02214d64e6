/**
 * What a thread gives up for good: new privileges by exec, and capabilities(7). As calls, for every thread to make.
 */
import { Arena, addressOf } from './arena.ts'
import { must } from './errors.ts'
import type { ThreadCall } from './every-thread.ts'
import { syscall } from './syscalls.ts'

export const CAP_NET_BIND_SERVICE = 10
export const CAP_SYS_ADMIN = 21

const PR_SET_PDEATHSIG = 1
const PR_GET_PDEATHSIG = 2
const PR_CAPBSET_READ = 23
const PR_CAPBSET_DROP = 24
const PR_SET_NO_NEW_PRIVS = 38
const PR_CAP_AMBIENT = 47
const PR_CAP_AMBIENT_CLEAR_ALL = 4

/** _LINUX_CAPABILITY_VERSION_3: 64 bits, in two structures. */
const VERSION_3 = 0x20080522
/** struct __user_cap_header_struct; pid 0 is the calling thread. */
const HEADER_LEN = 8
/** Two of struct __user_cap_data_struct: effective, permitted, inheritable. */
const DATA_LEN = 24
const EFFECTIVE = 0
const PERMITTED = 4
const INHERITABLE = 8

export function noNewPrivileges(): ThreadCall[] {
  return [{ name: 'prctl', args: [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0] }]
}

/** Leaves nothing but the capability (of 0 to 31), if it is there, and empties the ambient set. */
export function keepCapability(kept: number): ThreadCall[] {
  const calls: ThreadCall[] = [
    { name: 'prctl', args: [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0] },
  ]
  for (const capability of boundingSet()) {
    if (capability === kept) continue
    calls.push({ name: 'prctl', args: [PR_CAPBSET_DROP, capability, 0, 0, 0] })
  }
  const left = ownCapabilities().getInt32(PERMITTED, true) & (1 << kept)
  const data = new Arena(DATA_LEN)
  for (const at of [EFFECTIVE, PERMITTED, INHERITABLE]) data.view.setInt32(at, left, true)
  calls.push({ name: 'capset', args: [header(), data] })
  return calls
}

/** Is the capability (of 0 to 31) effective on this thread? */
export function isCapable(capability: number): boolean {
  return ((ownCapabilities().getInt32(EFFECTIVE, true) >>> capability) & 1) === 1
}

/** Which signal this process gets when its parent dies; 0 for none. */
export function parentDeathSignal(): number {
  const signal = new Arena(4)
  must(syscall('prctl', PR_GET_PDEATHSIG, addressOf(signal, 0, 4)), 'prctl(PR_GET_PDEATHSIG)')
  return signal.view.getInt32(0, true)
}

export function setParentDeathSignal(signal: number): void {
  must(syscall('prctl', PR_SET_PDEATHSIG, signal), 'prctl(PR_SET_PDEATHSIG)')
}

function boundingSet(): number[] {
  const capabilities = []
  for (let capability = 0; ; capability++) {
    const isThere = syscall('prctl', PR_CAPBSET_READ, capability)
    if (isThere < 0) return capabilities
    if (isThere === 1) capabilities.push(capability)
  }
}

function ownCapabilities(): DataView {
  const data = new Arena(DATA_LEN)
  const of = header()
  must(syscall('capget', addressOf(of, 0, HEADER_LEN), addressOf(data, 0, DATA_LEN)), 'capget')
  return data.view
}

function header(): Arena {
  const arena = new Arena(HEADER_LEN)
  arena.view.setUint32(0, VERSION_3, true)
  return arena
}
