/** A name server for the host of a world, small enough to be sent to its agent: A, AAAA and CNAME records, over UDP and TCP. */
import type { Kit } from './agent.ts'

/**
 * Answers for `records` (name → addresses, or the name that it is another one of), at port 53 of `host`; other names do not
 * exist. What it was asked is kept as 'dns names'. An answer of more
 * than 512 octets, or what the client says by EDNS (RFC 6891 §6.2.3), is truncated over UDP, so that the client asks again
 * over TCP (RFC 1035 §4.2.1).
 */
export async function serveDns(
  { dgram, net, listen, bind, keep }: Kit,
  records: Record<string, string[]>,
  host: string = '127.0.0.1',
  /** In seconds. */
  ttl: number = 60,
): Promise<void> {
  const HEADER_LEN = 12
  const TYPE_A = 1
  const TYPE_CNAME = 5
  const TYPE_AAAA = 28
  const CLASS_IN = 1
  const NAME_ERROR = 3

  const question = (query: Buffer): { name: string; end: number; type: number } => {
    const labels: string[] = []
    let at = HEADER_LEN
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length))
      at += 1 + length
    }
    return { name: labels.join('.').toLowerCase(), end: at + 5, type: query.readUInt16BE(at + 1) }
  }

  const encode = (name: string): Buffer =>
    Buffer.concat([
      ...name
        .split('.')
        .map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`)),
      Buffer.of(0),
    ])

  const octetsOf = (value: string): { type: number; data: Buffer } => {
    if (/^[\d.]+$/.test(value)) {
      return { type: TYPE_A, data: Buffer.from(value.split('.').map(Number)) }
    }
    if (!value.includes(':')) return { type: TYPE_CNAME, data: encode(value) }
    const [head = '', tail = ''] = value.split('::')
    const groups = (text: string): string[] => (text === '' ? [] : text.split(':'))
    const zeros = 8 - groups(head).length - groups(tail).length
    const all = [...groups(head), ...new Array<string>(zeros).fill('0'), ...groups(tail)]
    return {
      type: TYPE_AAAA,
      data: Buffer.from(all.map((g) => g.padStart(4, '0')).join(''), 'hex'),
    }
  }

  /** What there is of a type for a name, by way of those that it is another one of. */
  const recordsOf = (name: string, wanted: number): Buffer[] => {
    const found: Buffer[] = []
    for (let at: string | undefined = name, hops = 0; at !== undefined && hops < 8; hops++) {
      let next: string | undefined
      for (const value of records[at] ?? []) {
        const { type, data } = octetsOf(value)
        if (type === TYPE_CNAME) next = value
        else if (type !== wanted) continue
        const head = Buffer.alloc(10)
        head.writeUInt16BE(type, 0)
        head.writeUInt16BE(CLASS_IN, 2)
        head.writeUInt32BE(ttl, 4)
        head.writeUInt16BE(data.length, 8)
        const owner = at === name ? Buffer.of(0xc0, HEADER_LEN) : encode(at)
        found.push(Buffer.concat([owner, head, data]))
      }
      at = next
    }
    return found
  }

  const answer = (query: Buffer, limit: number): Buffer => {
    const { name, end, type } = question(query)
    const addresses = records[name]
    const names = (keep.get('dns names') as string[] | undefined) ?? []
    keep.set('dns names', [...names, name].slice(-1000))
    const answers = recordsOf(name, type)
    const header = Buffer.from(query.subarray(0, HEADER_LEN))
    const whole = Buffer.concat([header, query.subarray(HEADER_LEN, end), ...answers])
    const truncated = whole.length > limit
    // QR, the question's RD, RA, and TC where needed.
    whole.writeUInt16BE(0x8080 | (query.readUInt16BE(2) & 0x0100) | (truncated ? 0x0200 : 0), 2)
    if (!addresses) whole[3]! |= NAME_ERROR
    whole.writeUInt16BE(1, 4)
    whole.writeUInt16BE(truncated ? 0 : answers.length, 6)
    whole.writeUInt32BE(0, 8)
    return truncated ? whole.subarray(0, end) : whole
  }

  const count = (what: string): void => {
    keep.set(what, ((keep.get(what) as number | undefined) ?? 0) + 1)
  }

  /** What the OPT record of a query says, should there be one behind its question. */
  const limitOf = (query: Buffer): number => {
    const { end } = question(query)
    const hasOpt = query.length >= end + 5 && query[end] === 0 && query.readUInt16BE(end + 1) === 41
    return hasOpt ? Math.max(512, query.readUInt16BE(end + 3)) : 512
  }

  const udp = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
  udp.on('message', (query, from) => {
    count('dns udp')
    udp.send(answer(query, limitOf(query)), from.port, from.address)
  })
  await bind(udp, host, 53)

  const tcp = net.createServer((socket) => {
    let pending = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (part: Buffer) => {
      pending = Buffer.concat([pending, part])
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const end = 2 + pending.readUInt16BE(0)
        const reply = answer(pending.subarray(2, end), 65_535)
        count('dns tcp')
        socket.write(Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 255]), reply]))
        pending = pending.subarray(end)
      }
    })
  })
  await listen(tcp, host, 53)
}
