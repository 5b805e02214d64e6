/** Messages of DNS in a few words, for tests. */
import {
  A,
  AAAA,
  CNAME,
  type Edns,
  HTTPS,
  IN,
  type Message,
  nameOf,
  QR,
  RD,
  type ResourceRecord,
  showName,
  wireOf,
} from '../../../src/policy/evidence/dns-message.ts'
import * as address from '../../../src/stack/wire/address.ts'

const TYPES: Readonly<Record<string, number>> = {
  A,
  AAAA,
  CNAME,
  HTTPS,
  DNAME: 39,
  MX: 15,
  SOA: 6,
  TXT: 16,
  SVCB: 64,
}
const EDNS: Edns = { udpLen: 1232, isDnssecOk: false }

export function query(name: string, type = 'A', edns: Edns | null = EDNS): Message {
  const wire = wireOf(name)
  const question = { wire, name: nameOf(wire), type: TYPES[type]!, class: IN }
  return { id: 77, flags: RD, question, answers: [], authority: [], ...(edns && { edns }) }
}

/** The answer with records such as `a.example 300 A 192.0.2.1`. */
export function answer(to: Message, records: readonly string[], rcode = 0): Message {
  return { ...to, flags: QR | 0x0180 | rcode, answers: records.map(record) }
}

export function record(text: string): ResourceRecord {
  const [name = '', ttl, type = '', data = ''] = text.split(' ')
  const wire = wireOf(name)
  const common = { wire, name: nameOf(wire), type: TYPES[type]!, class: IN, ttl: Number(ttl) }
  return { ...common, data: dataOf(type, data) }
}

function dataOf(type: string, text: string): Uint8Array {
  const words = new Int32Array(4)
  if (type === 'A' || type === 'AAAA') {
    if (!address.parse(text, words)) throw new TypeError(text)
    const octets = new Uint8Array(16)
    for (const [i, word] of words.entries()) new DataView(octets.buffer).setInt32(4 * i, word)
    return type === 'A' ? octets.slice(12) : octets
  }
  if (type === 'CNAME' || type === 'DNAME') return wireOf(text)
  if (type === 'MX') return Uint8Array.of(0, 10, ...wireOf(text))
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0))
}

/** The records in the same words. */
export function show({ answers }: Message): string[] {
  return answers.map(({ wire, ttl, type, data }) => {
    const name = Object.entries(TYPES).find(([, value]) => value === type)?.[0]
    return `${showName(wire)} ${ttl} ${name} ${showData(name, data)}`
  })
}

function showData(type: string | undefined, data: Uint8Array): string {
  const view = new DataView(data.buffer, data.byteOffset, data.length)
  if (type === 'A') return address.formatIpv4(view.getInt32(0))
  if (type === 'AAAA')
    return address.format(Int32Array.from([0, 4, 8, 12], (at) => view.getInt32(at)))
  if (type === 'CNAME' || type === 'DNAME') return showName(data)
  return `${data.length} octets`
}
