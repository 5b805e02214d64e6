/** As much of database servers as a client needs to log in and ask something: their first words are the server's, or half a TLS. */
import type { Kit } from '../../src/lab/agent.ts'

/** PostgreSQL's protocol 3.0 (documentation §55): asks for TLS in the clear first; each query is empty. */
export async function servePostgres(
  { net, load }: Kit,
  host: string,
  pem: { key: string; cert: string },
): Promise<void> {
  const tls = (await load('node:tls')) as typeof import('node:tls')
  const message = (type: string, ...octets: number[]): Buffer => {
    const head = Buffer.alloc(5)
    head.write(type)
    head.writeInt32BE(4 + octets.length, 1)
    return Buffer.concat([head, Buffer.from(octets)])
  }
  const READY = message('Z', 'I'.charCodeAt(0))
  const talk = (stream: import('node:stream').Duplex): void => {
    let isStarted = false
    stream.on('error', () => {})
    stream.on('data', (octets: Buffer) => {
      if (!isStarted) {
        isStarted = true
        stream.write(Buffer.concat([message('R', 0, 0, 0, 0), READY]))
      } else if (octets.toString('latin1', 0, 1) === 'Q') {
        stream.write(Buffer.concat([message('I'), READY]))
      } else stream.end()
    })
  }
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    // SSLRequest is 8 octets with this code; then a ClientHello.
    socket.once('data', (octets) => {
      if (octets.readInt32BE(4) !== 80877103) return socket.destroy()
      socket.write('S')
      talk(new tls.TLSSocket(socket, { isServer: true, ...pem }))
    })
  })
  await new Promise<void>((resolve) => server.listen(5432, host, resolve))
}

/** MySQL's protocol (Client/Server Protocol, HandshakeV10): the server speaks first, and whatever is asked is done. */
export async function serveMysql({ net }: Kit, host: string): Promise<void> {
  const packet = (sequence: number, octets: readonly number[]): Buffer =>
    Buffer.from([octets.length & 255, octets.length >> 8, 0, sequence, ...octets])
  const text = (value: string): number[] => [...Buffer.from(value), 0]
  const OK = [0, 0, 0, 2, 0, 0, 0]
  // PROTOCOL_41 and SECURE_CONNECTION, PLUGIN_AUTH.
  const hello = [
    ...[10, ...text('5.7.0-tests'), 1, 0, 0, 0, ...new Array<number>(8).fill(65), 0],
    ...[0x00, 0x82, 33, 2, 0, 0x08, 0x00, 21, ...new Array<number>(10).fill(0)],
    ...[...new Array<number>(12).fill(66), 0, ...text('mysql_native_password')],
  ]
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.write(packet(0, hello))
    let isIn = false
    socket.on('data', (octets) => {
      if (!isIn) {
        isIn = true
        socket.write(packet(octets[3]! + 1, OK))
      } else if (octets[4] === 1) socket.end()
      else socket.write(packet(1, OK))
    })
  })
  await new Promise<void>((resolve) => server.listen(3306, host, resolve))
}
