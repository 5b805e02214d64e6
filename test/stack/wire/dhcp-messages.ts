/** A DHCP client's messages as octets, and a server's as text. */
import * as address from '../../../src/stack/wire/address.ts'
import { hex } from './trap-view.ts'

export interface Fields {
  op?: string
  ethernet?: string
  xid?: string
  flags?: string
  ciaddr?: string
  giaddr?: string
  chaddr?: string
  /** Hexadecimal, from the field's start. */
  sname?: string
  file?: string
  cookie?: string
}

/** What a client sends; `options` are hexadecimal, behind the cookie. */
export function clientMessage(options: string, fields: Fields = {}): Uint8Array {
  const octets = new Uint8Array(240)
  const put = (at: number, text: string | undefined): void =>
    void (text && octets.set(hex(text), at))
  const addr = (text = '0.0.0.0'): number[] => text.split('.').map(Number)
  put(0, fields.op ?? '01')
  put(1, fields.ethernet ?? '01 06')
  put(4, fields.xid ?? 'deadbeef')
  put(10, fields.flags)
  octets.set(addr(fields.ciaddr), 12)
  octets.set(addr(fields.giaddr), 24)
  octets.set(address.parseMac(fields.chaddr ?? '02:11:aa:bb:cc:dd')!, 28)
  put(44, fields.sname)
  put(108, fields.file)
  put(236, fields.cookie ?? '63825363')
  return Uint8Array.of(...octets, ...hex(options))
}
