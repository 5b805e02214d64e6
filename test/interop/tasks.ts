/** What clients do in the networks of a closed world; sent to an agent as text, as those of test/e2e/tasks.ts are. */
import type { Kit } from '../../src/lab/agent.ts'

/** Fetches a page. */
export function askHttp({ http }: Kit, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host, port, agent: false as const, timeout: 5_000 }
    const request = http.get(options, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.once('end', () => resolve(text))
      response.once('error', reject)
    })
    request.once('timeout', () => request.destroy(new Error('no answer for 5 s')))
    request.once('error', reject)
  })
}

/** Sends a datagram until it is answered. */
export function askUdp({ dgram, net }: Kit, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket(net.isIPv6(host) ? 'udp6' : 'udp4')
    const finish = (settle: () => void): void => {
      clearInterval(again)
      clearTimeout(late)
      socket.close()
      settle()
    }
    const send = () => socket.send('who are you?', port, host)
    const again = setInterval(send, 500)
    const late = setTimeout(() => finish(() => reject(new Error('no answer for 5 s'))), 5_000)
    socket.once('message', (text) => finish(() => resolve(`${text}`)))
    socket.once('error', (error) => finish(() => reject(error)))
    send()
  })
}

/** Serves one page; answers the port. */
export function serveText({ http, listen }: Kit, text: string, host: string): Promise<number> {
  return listen(
    http.createServer((_request, response) => response.end(text)),
    host,
  )
}
