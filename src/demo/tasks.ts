/** What the demo's agents do. Each function is sent to a namespace as text: see lab/agent.ts. */
import type { Kit } from '../lab/agent.ts'

export interface Page {
  text: string
  /** The address that the server saw. */
  client: string
  ms: number
}

export function servePage({ http, listen }: Kit, text: string, port: number): Promise<number> {
  return listen(
    http.createServer((request, response) => {
      response.setHeader('x-client', `${request.socket.remoteAddress}`)
      response.setHeader('connection', 'close')
      response.end(text)
    }),
    '0.0.0.0',
    port,
  )
}

export function fetchPage({ http }: Kit, host: string, port: number): Promise<Page> {
  const started = performance.now()
  return new Promise((resolve, reject) => {
    const request = http.get({ host, port, agent: false, timeout: 5_000 }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.once('end', () => {
        const client = `${response.headers['x-client']}`
        resolve({ text, client, ms: performance.now() - started })
      })
    })
    request.once('timeout', () => request.destroy(new Error('no answer in 5 s')))
    request.once('error', reject)
  })
}

export async function resolveName(
  { dns }: Kit,
  name: string,
): Promise<{ addresses: string[]; ms: number }> {
  const started = performance.now()
  // c-ares reads the container's /etc/resolv.conf.
  const addresses = await new dns.promises.Resolver({ timeout: 3_000, tries: 1 }).resolve4(name)
  return { addresses, ms: performance.now() - started }
}

export function describeInterfaces({ os }: Kit): string[] {
  return Object.entries(os.networkInterfaces())
    .flatMap(([name, addresses]) => (addresses ?? []).map((one) => ({ name, ...one })))
    .filter((one) => one.family === 'IPv4' && !one.internal)
    .map((one) => `${one.name} ${one.cidr}`)
}

export interface Transfer {
  /** SHA-256 of all octets. */
  hash: string
  octets: number
  /** From the first octet to the last, at the receiving end; 0 at the sending end. */
  ms: number
}

/** Listens for one connection that sends (`up`) or receives (`down`) `octets`; see `served`. */
export function serveTransfer(
  { net, crypto, listen, keep }: Kit,
  way: 'up' | 'down',
  octets: number,
): Promise<number> {
  const hashOf = (bytes: Buffer): string => crypto.createHash('sha256').update(bytes).digest('hex')
  const block = way === 'up' ? Buffer.alloc(octets, 1) : crypto.randomBytes(octets)
  const sent = way === 'down' ? hashOf(block) : ''
  const result = new Promise<Transfer>((resolve, reject) => {
    const server = net.createServer((socket) => {
      server.close()
      socket.once('error', reject)
      if (way === 'down') {
        socket.end(block)
        socket.resume()
        socket.once('close', () => resolve({ hash: sent, octets, ms: 0 }))
        return
      }
      let at = 0
      let started = 0
      socket.on('data', (part: Buffer) => {
        started ||= performance.now()
        if (at + part.length <= octets) part.copy(block, at)
        at += part.length
      })
      socket.once('end', () => {
        const ms = performance.now() - started
        resolve({ hash: hashOf(block), octets: at, ms })
      })
    })
    keep.set('transfer server', server)
  })
  result.catch(() => {})
  keep.set('transfer', result)
  return listen(keep.get('transfer server') as import('node:net').Server)
}

export function served({ keep }: Kit): Promise<Transfer> {
  return keep.get('transfer') as Promise<Transfer>
}

/** The connecting end of `serveTransfer`. */
export function transfer(
  { net, crypto }: Kit,
  host: string,
  port: number,
  way: 'up' | 'down',
  octets: number,
): Promise<Transfer> {
  const hashOf = (bytes: Buffer): string => crypto.createHash('sha256').update(bytes).digest('hex')
  const block = way === 'up' ? crypto.randomBytes(octets) : Buffer.alloc(octets, 1)
  const sent = way === 'up' ? hashOf(block) : ''
  return new Promise((resolve, reject) => {
    if (way === 'up') {
      const socket = net.connect({ host, port }, () => socket.end(block))
      socket.resume()
      socket.once('error', reject)
      socket.once('close', () => resolve({ hash: sent, octets, ms: 0 }))
      return
    }
    let at = 0
    let started = 0
    const spare = Buffer.alloc(1)
    const socket = net.connect({
      host,
      port,
      onread: {
        // Straight into its place: what is measured is not Node's garbage collector.
        buffer: () => (at < octets ? block.subarray(at, at + (1 << 20)) : spare),
        callback: (length: number) => {
          started ||= performance.now()
          at += length
          return true
        },
      },
    })
    socket.once('error', reject)
    socket.once('end', () => {
      const ms = performance.now() - started
      resolve({ hash: hashOf(block), octets: at, ms })
    })
  })
}
