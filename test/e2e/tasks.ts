/**
 * What clients and servers do in the namespaces. Each function is sent to an agent as text: it uses nothing but its
 * arguments, the first of which is the kit of src/lab/agent.ts. Servers live until the world ends.
 */
import type { Socket } from 'node:net'
import type { Kit } from '../../src/lab/agent.ts'

export interface Address {
  host: string
  port: number
}

/** Serves one page; answers the port. */
export function serveText({ http, listen }: Kit, text: string, host?: string): Promise<number> {
  return listen(
    http.createServer((request, response) => {
      response.setHeader('connection', 'close')
      response.setHeader('x-client', `${request.socket.remoteAddress}`)
      response.end(text)
    }),
    host,
  )
}

/** Fetches a page; `client` is the address that the server saw. */
export function fetchText(
  { http }: Kit,
  { host, port }: Address,
): Promise<{ text: string; client: string }> {
  return new Promise((resolve, reject) => {
    const request = http.get({ host, port, agent: false, timeout: 10_000 }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.once('end', () => resolve({ text, client: `${response.headers['x-client']}` }))
      response.once('error', reject)
    })
    request.once('timeout', () => request.destroy(new Error('no answer for 10 s')))
    request.once('error', reject)
  })
}

/** Sends back what comes, half-closes when the client has. */
export function serveEcho({ net, listen }: Kit, host?: string, port?: number): Promise<number> {
  return listen(
    net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {})
      socket.pipe(socket)
    }),
    host,
    port,
  )
}

/** Connects, sends, half-closes, reads to the end: one whole exchange. */
export function exchange({ net }: Kit, { host, port }: Address, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = net.connect({ host, port, allowHalfOpen: true }, () => socket.end(text))
    socket.setEncoding('utf8').on('data', (part: string) => {
      answer += part
    })
    socket.setTimeout(15_000, () => socket.destroy(new Error('silence for 15 s')))
    socket.once('error', reject)
    socket.once('close', () => resolve(answer))
  })
}

/** Connects and answers the error's code, `connected` without one, and how long that took. */
export function tryToConnect(
  { net }: Kit,
  { host, port }: Address,
  limit: number = 5_000,
): Promise<{ outcome: string; ms: number }> {
  const started = performance.now()
  return new Promise((resolve) => {
    const socket = net.connect({ host, port })
    const done = (outcome: string): void => {
      socket.destroy()
      resolve({ outcome, ms: performance.now() - started })
    }
    socket.setTimeout(limit, () => done('silence'))
    socket.once('connect', () => done('connected'))
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message))
  })
}

/** What is known of a connection that is kept under a name for later functions. */
export interface Kept {
  socket: Socket
  text: string
  ended: boolean
  error: string | undefined
}

/** Keeps the next accepted connection as `name`; answers the port. */
export function serveKept(
  { net, listen, keep }: Kit,
  name: string,
  host?: string,
): Promise<number> {
  return listen(
    net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const kept: Kept = { socket, text: '', ended: false, error: undefined }
      keep.set(name, kept)
      socket.on('data', (part) => {
        kept.text += part
      })
      socket.on('end', () => {
        kept.ended = true
      })
      socket.on('error', (error: NodeJS.ErrnoException) => {
        kept.error = error.code
      })
    }),
    host,
  )
}

/** Connects and keeps the connection as `name`. */
export function connectKept({ net, keep }: Kit, name: string, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ ...address, allowHalfOpen: true, noDelay: true })
    const kept: Kept = { socket, text: '', ended: false, error: undefined }
    keep.set(name, kept)
    socket.once('connect', resolve)
    socket.once('error', reject)
    socket.on('data', (part) => {
      kept.text += part
    })
    socket.on('end', () => {
      kept.ended = true
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      kept.error = error.code
    })
  })
}

/** Does something to a kept connection: sends, half-closes, resets. */
export function act({ keep }: Kit, name: string, what: 'end' | 'reset' | { send: string }): void {
  const { socket } = keep.get(name) as Kept
  if (what === 'end') socket.end()
  else if (what === 'reset') socket.resetAndDestroy()
  else socket.write(what.send)
}

/** Waits until `text` has come on a kept connection, or it has ended or failed; answers how it stands. */
export async function standing(
  { keep, sleep }: Kit,
  name: string,
  until: 'text' | 'ended' | 'error',
): Promise<Omit<Kept, 'socket'>> {
  for (let waited = 0; ; waited += 10) {
    const { text = '', ended = false, error } = (keep.get(name) as Kept | undefined) ?? {}
    const arrived = { text: text !== '', ended, error: error !== undefined }[until]
    if (arrived || waited > 5_000) return { text, ended, error }
    await sleep(10)
  }
}

export interface Bulk {
  /** SHA-1 of what was sent, and of what came. */
  sent: string
  received: string
  receivedOctets: number
}

/**
 * Connects, sends `octets` random ones while it reads what the other end sends, both to the end.
 */
export function bulk({ net, crypto }: Kit, address: Address, octets: number): Promise<Bulk> {
  return new Promise((resolve, reject) => {
    const block = crypto.randomBytes(1 << 18)
    const sent = crypto.createHash('sha1')
    const received = crypto.createHash('sha1')
    let left = octets
    let receivedOctets = 0
    const socket = net.connect({ ...address, allowHalfOpen: true })
    const fill = (): void => {
      while (left > 0) {
        const chunk = Buffer.from(block.subarray(0, Math.min(left, block.length)))
        chunk.writeUIntBE(left, 0, 6)
        left -= chunk.length
        sent.update(chunk)
        if (!socket.write(chunk)) return
      }
      socket.end()
    }
    socket.once('connect', fill)
    socket.on('drain', fill)
    socket.on('data', (chunk: Buffer) => {
      receivedOctets += chunk.length
      received.update(chunk)
    })
    socket.once('error', reject)
    socket.once('close', () =>
      resolve({ sent: sent.digest('hex'), received: received.digest('hex'), receivedOctets }),
    )
  })
}

/** The same from the listening side: for one connection. The result is waited for with `bulkServed`. */
export function serveBulk({ net, crypto, listen, keep }: Kit, octets: number): Promise<number> {
  let finish: (result: Bulk) => void = () => {}
  keep.set('bulk', new Promise<Bulk>((resolve) => (finish = resolve)))
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    server.close()
    const block = crypto.randomBytes(1 << 18)
    const sent = crypto.createHash('sha1')
    const received = crypto.createHash('sha1')
    let left = octets
    let receivedOctets = 0
    const fill = (): void => {
      while (left > 0) {
        const chunk = Buffer.from(block.subarray(0, Math.min(left, block.length)))
        chunk.writeUIntBE(left, 0, 6)
        left -= chunk.length
        sent.update(chunk)
        if (!socket.write(chunk)) return
      }
      socket.end()
    }
    fill()
    socket.on('drain', fill)
    socket.on('data', (chunk: Buffer) => {
      receivedOctets += chunk.length
      received.update(chunk)
    })
    socket.on('error', () => {})
    socket.once('close', () =>
      finish({ sent: sent.digest('hex'), received: received.digest('hex'), receivedOctets }),
    )
  })
  return listen(server)
}

export function bulkServed({ keep }: Kit): Promise<Bulk> {
  return keep.get('bulk') as Promise<Bulk>
}

/** Echoes datagrams; answers the port. */
export function serveUdpEcho({ dgram, bind }: Kit, host?: string, port?: number): Promise<number> {
  const socket = dgram.createSocket('udp4')
  socket.on('message', (message, from) => socket.send(message, from.port, from.address))
  socket.on('error', () => {})
  return bind(socket, host, port)
}

/** Sends `length` octets and waits for the same to come back; answers what came, or the error. */
export function exchangeUdp(
  { dgram, crypto }: Kit,
  { host, port }: Address,
  length: number = 64,
  limit: number = 5_000,
): Promise<{ outcome: string; from?: string; equal?: boolean; length?: number }> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket('udp4')
    const message = crypto.randomBytes(length)
    const done = (outcome: string, more: object = {}): void => {
      clearTimeout(timer)
      socket.close()
      resolve({ outcome, ...more })
    }
    const timer = setTimeout(() => done('silence'), limit)
    socket.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message))
    socket.once('message', (answer, from) =>
      done('answer', {
        from: `${from.address}:${from.port}`,
        equal: answer.equals(message),
        length: answer.length,
      }),
    )
    // Connected, so that an ICMP error comes back as an error of this socket.
    socket.connect(port, host, () => {
      socket.setSendBufferSize(1 << 20)
      socket.setRecvBufferSize(1 << 20)
      socket.send(message)
    })
  })
}
