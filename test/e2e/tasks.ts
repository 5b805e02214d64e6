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

/** Listens; each client gets octets without end. */
export function serveEndless({ net, listen }: Kit): Promise<number> {
  const block = Buffer.alloc(1 << 16)
  return listen(
    net.createServer((socket) => {
      const fill = (): void => {
        while (socket.write(block));
      }
      socket.on('error', () => {})
      socket.on('drain', fill)
      fill()
    }),
  )
}

/** Opens `count` connections that are never read, and keeps them as `name`. */
export async function connectUnread(
  { net, keep }: Kit,
  name: string,
  address: Address,
  count: number,
): Promise<void> {
  const sockets = Array.from({ length: count }, () => net.connect(address).pause())
  keep.set(name, sockets)
  await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<void>((resolve, reject) => {
          socket.once('connect', resolve)
          socket.once('error', reject)
        }),
    ),
  )
}

/** Does something to a kept connection: sends, half-closes, resets. */
export async function act(
  { keep, sleep }: Kit,
  name: string,
  what: 'end' | 'reset' | { send: string },
): Promise<void> {
  // The client knows of its connection before the server's program does.
  for (let waited = 0; !keep.has(name) && waited < 5_000; waited += 10) await sleep(10)
  const { socket } = keep.get(name) as Kept
  if (what === 'end') socket.end()
  else if (what === 'reset') socket.resetAndDestroy()
  else socket.write(what.send)
}

/** Waits until `text` has come on a kept connection, or it has ended or failed; answers how it stands. */
export async function standing(
  { keep, sleep }: Kit,
  name: string,
  until: 'text' | 'ended' | 'error' | 'closed',
): Promise<Omit<Kept, 'socket'>> {
  for (let waited = 0; ; waited += 10) {
    const { text = '', ended = false, error } = (keep.get(name) as Kept | undefined) ?? {}
    const closed = ended || error !== undefined
    const arrived = { text: text !== '', ended, error: error !== undefined, closed }[until]
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
export function serveBulk(
  { net, crypto, listen, keep }: Kit,
  octets: number,
  host?: string,
): Promise<number> {
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
  return listen(server, host)
}

export function bulkServed({ keep }: Kit): Promise<Bulk> {
  return keep.get('bulk') as Promise<Bulk>
}

/** Echoes datagrams; answers the port. */
export function serveUdpEcho({ dgram, bind }: Kit, host?: string, port?: number): Promise<number> {
  const socket = dgram.createSocket(host?.includes(':') ? 'udp6' : 'udp4')
  socket.on('message', (message, from) => socket.send(message, from.port, from.address))
  socket.on('error', () => {})
  return bind(socket, host, port)
}

/**
 * Sends datagrams of these lengths at once, to a server that gives them back; answers which came whole, by their
 * place, in the order in which they came.
 */
export function burstUdp(
  { dgram }: Kit,
  { host, port }: Address,
  lengths: number[],
  limit: number = 5_000,
): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
    const came: number[] = []
    const done = (): void => {
      clearTimeout(timer)
      socket.close()
      resolve(came)
    }
    const timer = setTimeout(done, limit)
    socket.once('error', reject)
    socket.on('message', (message) => {
      const i = message[0]!
      if (message.equals(Buffer.alloc(lengths[i]!, i)) && came.push(i) === lengths.length) done()
    })
    for (const [i, length] of lengths.entries()) socket.send(Buffer.alloc(length, i), port, host)
  })
}

/** Sends `length` octets and waits for the same to come back; answers what came, or the error. */
export function exchangeUdp(
  { dgram, crypto }: Kit,
  { host, port }: Address,
  length: number = 64,
  limit: number = 5_000,
): Promise<{ outcome: string; from?: string; equal?: boolean; length?: number }> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
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

/** Opens `count` connections to an echo server, all at once; answers how many echoed their own number. */
export async function exchangeMany({ net }: Kit, address: Address, count: number): Promise<number> {
  const one = (number: number): Promise<boolean> =>
    new Promise((resolve) => {
      const text = `connection ${number}`
      let answer = ''
      const socket = net.connect(address, () => socket.write(text))
      socket.setTimeout(20_000, () => socket.destroy())
      socket.on('data', (part) => {
        answer += part
        if (answer.length >= text.length) arrived()
      })
      socket.once('error', () => {})
      socket.once('close', () => {
        missing--
        check()
        resolve(answer === text)
      })
      open.push(socket)
    })
  const open: Socket[] = []
  let answered = 0
  let missing = count
  const arrived = (): void => {
    answered++
    check()
  }
  // Nobody closes before everybody has an answer: they are open at the same time.
  const check = (): void => {
    if (answered >= missing) for (const socket of open) socket.end()
  }
  const results = await Promise.all(Array.from({ length: count }, (_, number) => one(number)))
  return results.filter(Boolean).length
}

/** One connection after the other to an echo server; answers how many echoed. */
export async function exchangeInTurn(
  { net }: Kit,
  address: Address,
  count: number,
): Promise<number> {
  let echoed = 0
  for (let number = 0; number < count; number++) {
    echoed += await new Promise<number>((resolve) => {
      const socket = net.connect(address, () => socket.write('x'))
      socket.setTimeout(10_000, () => socket.destroy())
      let answers = 0
      socket.on('data', () => {
        answers = 1
        socket.end()
      })
      socket.once('error', () => {})
      socket.once('close', () => resolve(answers))
    })
  }
  return echoed
}

/** Counts, as `name`, the octets that come, but reads nothing in the first `pause` ms of a connection. */
export function serveSlow(
  { net, listen, keep }: Kit,
  name: string,
  pause: number,
): Promise<number> {
  keep.set(name, 0)
  return listen(
    net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {})
      setTimeout(() => {
        socket.on('data', (part) => keep.set(name, (keep.get(name) as number) + part.length))
        socket.once('end', () => socket.end())
        socket.resume()
      }, pause)
    }),
  )
}

/** Connects, sends `octets`, and waits until the other end has closed; answers how long that took, in ms. */
export function send({ net }: Kit, address: Address, octets: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const started = performance.now()
    const socket = net.connect(address, () => socket.end(Buffer.alloc(octets, 'slow')))
    socket.resume()
    socket.once('error', reject)
    socket.once('close', () => resolve(performance.now() - started))
  })
}

export function kept({ keep }: Kit, name: string): unknown {
  return keep.get(name)
}

/** Sends `octets` to everybody who connects. */
export function serveOctets({ net, listen }: Kit, octets: number, host?: string): Promise<number> {
  return listen(
    net.createServer((socket) => {
      socket.on('error', () => {})
      socket.end(Buffer.alloc(octets, 'octets'))
    }),
    host,
  )
}

/** Connects, waits `pause` ms before it reads anything, then reads to the end; answers the number of octets. */
export function readSlowly({ net }: Kit, address: Address, pause: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let octets = 0
    const socket = net.connect(address, () => {
      setTimeout(() => {
        socket.on('data', (part) => {
          octets += part.length
        })
      }, pause)
    })
    socket.once('error', reject)
    socket.once('close', () => resolve(octets))
  })
}

/** The IPv4 addresses in this namespace: interface, CIDR, MAC. */
export function interfaces({ os }: Kit): string[] {
  return Object.entries(os.networkInterfaces())
    .flatMap(([name, list]) => (list ?? []).map((one) => ({ name, ...one })))
    .filter((one) => one.family === 'IPv4')
    .map((one) => `${one.name} ${one.cidr} ${one.mac}`)
}

/** Answers each datagram with the port that it came from. */
export function serveUdpReport({ dgram, bind }: Kit, host?: string): Promise<number> {
  const socket = dgram.createSocket('udp4')
  socket.on('message', (_, from) => socket.send(`${from.port}`, from.port, from.address))
  return bind(socket, host)
}

/** Asks several `serveUdpReport` from one socket. */
export async function askUdpPorts(
  { dgram }: Kit,
  host: string,
  ports: number[],
): Promise<string[]> {
  const socket = dgram.createSocket('udp4')
  const seen: string[] = []
  for (const port of ports) {
    const answer = new Promise<string>((resolve) => {
      socket.once('message', (message) => resolve(`${message}`))
      setTimeout(() => resolve('silence'), 3_000)
    })
    socket.send('?', port, host)
    seen.push(await answer)
  }
  socket.close()
  return seen
}

/** The MTU of an interface of this namespace; /sys shows another's. */
export function mtuOf({ childProcess, fs }: Kit, name: string): number {
  childProcess.execFileSync('mount', ['-t', 'sysfs', 'sysfs', '/sys'])
  try {
    return Number(fs.readFileSync(`/sys/class/net/${name}/mtu`, 'utf8'))
  } finally {
    childProcess.execFileSync('umount', ['/sys'])
  }
}
