/**
 * What a client in a container does with a server whose first octet of a connection says what is wanted: `u` to count octets,
 * `d` for octets without end, `e` for an echo, `c` for an echo and the end.
 */
import type { Kit } from '../src/lab/agent.ts'
import type { Namespace } from '../src/lab/world.ts'

/** The server, beside others; answers its port. It is kept as `streams`: streams of another kind may be given to it. */
export function serveStreams({ net, listen, keep }: Kit, host?: string): Promise<number> {
  const block = Buffer.alloc(1 << 18)
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (stream) => {
    stream.on('error', () => {})
    let octets = 0
    stream.once('data', (first: Buffer) => {
      const wanted = String.fromCharCode(first[0]!)
      if (wanted === 'd') {
        const fill = (): void => {
          while (stream.write(block));
        }
        stream.on('drain', fill)
        fill()
        return
      }
      if (wanted === 'c') return void stream.end(first)
      if (wanted === 'e') {
        stream.write(first)
        stream.on('data', (chunk) => stream.write(chunk))
        stream.on('end', () => stream.end())
        return
      }
      octets = first.length
      stream.on('data', (chunk: Buffer) => {
        octets += chunk.length
      })
      stream.on('end', () => stream.end(`${octets}`))
    })
  })
  keep.set('streams', server)
  return listen(server, host)
}

/** Gbit/s that came to the server. */
export function upload(guest: Namespace, host: string, port: number, ms: number): Promise<number> {
  return guest.run(
    ({ net }, host, port, ms) =>
      new Promise<number>((resolve, reject) => {
        const block = Buffer.alloc(1 << 20, 'u')
        const socket = net.connect({ host, port, allowHalfOpen: true })
        const started = performance.now()
        const fill = (): void => {
          while (performance.now() - started < ms) if (!socket.write(block)) return
          socket.end()
        }
        socket.once('connect', fill).on('drain', fill).once('error', reject)
        socket.once('data', (octets) => {
          resolve((8 * Number(String(octets))) / 1e6 / (performance.now() - started))
          socket.destroy()
        })
      }),
    host,
    port,
    ms,
  )
}

/** Gbit/s that came to the guest. */
export function download(
  guest: Namespace,
  host: string,
  port: number,
  ms: number,
): Promise<number> {
  return guest.run(
    ({ net }, host, port, ms) =>
      new Promise<number>((resolve, reject) => {
        const started = performance.now()
        let octets = 0
        // One buffer for all of them: with one each, whether a process gives its heap's end back after each halves its speed.
        const onread = {
          buffer: Buffer.alloc(1 << 16),
          callback: (count: number) => {
            octets += count
            const elapsed = performance.now() - started
            if (elapsed < ms) return true
            socket.destroy()
            resolve((8 * octets) / 1e6 / elapsed)
            return false
          },
        }
        const socket = net.connect({ host, port, onread }, () => socket.write('d'))
        socket.once('error', reject)
      }),
    host,
    port,
    ms,
  )
}

/** Exchanges of one octet in one second, on one connection. */
export function requests(
  guest: Namespace,
  host: string,
  port: number,
  ms: number,
): Promise<number> {
  return guest.run(
    ({ net }, host, port, ms) =>
      new Promise<number>((resolve, reject) => {
        const socket = net.connect({ host, port, noDelay: true }, () => socket.write('e'))
        const started = performance.now()
        let count = 0
        socket.on('data', () => {
          count++
          const elapsed = performance.now() - started
          if (elapsed < ms) return void socket.write('e')
          socket.destroy()
          resolve((1000 * count) / elapsed)
        })
        socket.once('error', reject)
      }),
    host,
    port,
    ms,
  )
}

/**
 * The same with a connection each. The server closes first: its TIME-WAIT leaves the port of the other side free, of which
 * there are few enough for a run.
 */
export function connects(
  guest: Namespace,
  host: string,
  port: number,
  ms: number,
): Promise<number> {
  return guest.run(
    async ({ net }, host, port, ms) => {
      const started = performance.now()
      let count = 0
      for (; performance.now() - started < ms; count++) {
        await new Promise<void>((resolve, reject) => {
          const socket = net.connect({ host, port }, () => socket.write('c'))
          socket
            .on('data', () => {})
            .once('close', () => resolve())
            .once('error', reject)
        })
      }
      return (1000 * count) / (performance.now() - started)
    },
    host,
    port,
    ms,
  )
}
