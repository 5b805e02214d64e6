/** What endpoints say of failures: with the codes and the fields of Node's own sockets. */
import { constants } from 'node:os'
import { format, isMapped } from '../stack/wire/address.ts'

export interface EndAddress {
  readonly address: string
  readonly family: 'IPv4' | 'IPv6'
  readonly port: number
}

type Code = 'ECONNREFUSED' | 'ECONNRESET' | 'ETIMEDOUT' | 'EHOSTUNREACH' | 'EMFILE' | 'ECANCELED'

/** `connect ECONNREFUSED 10.0.2.100:80`, with `code`, `errno`, `syscall`, `address` and `port`. */
export function nodeError(
  code: Code,
  syscall: string,
  { address, port }: { address: string; port: number },
): NodeJS.ErrnoException {
  const errno = -constants.errno[code]
  const where = syscall === 'connect' ? ` ${address}:${port}` : ''
  return Object.assign(new Error(`${syscall} ${code}${where}`), {
    code,
    errno,
    syscall,
    ...(where && { address, port }),
  })
}

/** Four words of address, and a port. */
export function endOf(words: Int32Array, port: number): EndAddress {
  return { address: format(words), family: isMapped(words) ? 'IPv4' : 'IPv6', port }
}
