/**
 * What runs in the containers and needs no package: servers that say who they are and who asked, and a client for UDP.
 *
 *   node peer.mjs serve NAME [ADDRESS] PORT   HTTP and UDP on that port
 *   node peer.mjs udp HOST PORT [TEXT]        sends TEXT until somebody answers, at most 5 s; prints the answer
 */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'
import { isIPv6 } from 'node:net'

const [verb, ...args] = process.argv.slice(2)
if (verb === 'serve') serve(...args)
else if (verb === 'udp') ask(...args)
else throw new Error(`unknown verb ${verb}`)

function serve(name, ...where) {
  const port = Number(where.pop())
  const address = where[0] ?? '::'
  createServer((request, response) => {
    response.setHeader('connection', 'close')
    response.end(describe(name, request.socket.remoteAddress))
  }).listen(port, address)
  const udp = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
  udp.on('message', (_text, from) =>
    udp.send(describe(name, from.address), from.port, from.address),
  )
  udp.bind(port, address)
}

function describe(name, client) {
  return JSON.stringify({ name, client: client.replace(/^::ffff:/, '') })
}

function ask(host, port, text = 'who are you?') {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
  const send = () => socket.send(text, Number(port), host)
  socket.once('message', (answer) => {
    console.log(`${answer}`)
    process.exit(0)
  })
  setInterval(send, 500)
  setTimeout(() => process.exit(1), 5_000)
  send()
}
