/**
 * From a target to an attached, configured TAP.
 *
 * Nothing here keeps the calling thread from its other work for longer than a few system calls, and
 * it is in its own namespaces again whenever other code runs.
 */
import { close, closeAll } from '../sys/io.ts'
import { type AttachedTap, type AttachOptions, adopt, attach, detach } from './attach.ts'
import { type Configuration, configure } from './configure.ts'
import { type NamespaceTarget, openInside, type Way } from './enter.ts'
import { isInterfaceName } from './interface-request.ts'

/** Where the TAP is to be: in namespaces, or a descriptor that is one already. */
export type TapTarget = NamespaceTarget | { readonly fd: number }

export interface OpenTapOptions extends AttachOptions {
  /** The name of the interface: made when there is none. Not looked at with a descriptor. */
  readonly name?: string
  /** Bring it up and give it these addresses. Not possible with a descriptor. */
  readonly configure?: Configuration | undefined
  /** TCP sockets to open in there, by their families. Not possible with a descriptor. */
  readonly streams?: readonly number[]
  /** How to get into the namespace. Default: the first way that is open. */
  readonly way?: Way | undefined
}

/** Opens the TAP. The descriptor is ours from then on: `new Tap(…).close()` gives it back. */
export async function openTap(
  target: TapTarget,
  options: OpenTapOptions = {},
): Promise<AttachedTap> {
  const { name = 'tap0', configure: configuration, streams = [] } = options
  if ('fd' in target) {
    if (configuration) throw new TypeError('a TAP given as a descriptor cannot be configured')
    if (streams.length > 0)
      throw new TypeError('of a TAP given as a descriptor the namespace is not known')
    return adopt(target.fd)
  }
  if (!isInterfaceName(name)) throw new TypeError(`not a name of an interface: ${name}`)
  const wanted = { socket: configuration !== undefined, streams }
  const inside = await openInside(target, wanted, options.way)
  const { tun, socket } = inside
  let attached: AttachedTap | undefined
  try {
    attached = attach(tun, name, options)
    if (configuration) configure(socket, attached.name, configuration)
    return { ...attached, streams: inside.streams }
  } catch (error) {
    if (attached !== undefined) detach(attached) // a TAP that was there before stays
    closeAll([tun, ...inside.streams])
    throw error
  } finally {
    if (socket >= 0) close(socket)
  }
}
