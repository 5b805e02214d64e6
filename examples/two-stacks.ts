/**
 * Two TCP/IP stacks in one program, joined by a link that loses every twentieth frame: no privileges, no sockets, not
 * even a clock. Runs in a browser, too.
 *
 *     node scripts/run.mjs examples/two-stacks.ts
 */
import { Station } from 'slipway/stack'

const DELAY = 10 // ms
const TEXT = new Uint8Array(1024 * 1024).map((_, i) => (i * i) >>> 5)

/** The same numbers each time: so are the losses, and all that follows from them. */
let seed = 1
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) | 0
  return seed ^ (seed >>> 16)
}

let now = 0
const travelling: { frame: Uint8Array; to: Station; at: number }[] = []
let lost = 0

function send(frame: Uint8Array, to: Station): void {
  if ((random() & 0xff) < 13) lost++
  else travelling.push({ frame, to, at: now + DELAY })
}

const alice: Station = new Station({
  address: '192.0.2.1/24',
  random,
  transmit: (frame) => send(frame, bob),
})
const bob: Station = new Station({
  address: '192.0.2.2/24',
  random,
  transmit: (frame) => send(frame, alice),
})

let heard = 0
let isRight = true
let isOver = false

bob.listen(80, () => ({
  data: (octets) => {
    isRight &&= octets.every((octet, i) => octet === TEXT[heard + i])
    heard += octets.length
  },
  end: (stream) => stream.finish(),
}))

let said = 0
const stream = alice.connect(
  { address: '192.0.2.2', port: 80 },
  { open: say, drain: say, close },
  now,
)

function say(): void {
  said += stream.write(TEXT.subarray(said))
  if (said === TEXT.length) stream.finish()
}

function close(end: string): void {
  console.log(`the stream has ${end} after ${Math.round(now)} ms`)
  isOver = true
}

// Time is a number that we set: always to the next moment at which anything happens.
while (!isOver) {
  now = Math.min(travelling[0]?.at ?? Infinity, alice.deadline(), bob.deadline())
  while (travelling[0] && travelling[0].at <= now) {
    const { frame, to } = travelling.shift()!
    to.receive(frame, now)
  }
  for (const station of [alice, bob]) if (station.deadline() <= now) station.timeout(now)
}
const { tcpRetransmits, tcpTimeouts } = alice.counters
console.log(`${heard} octets, ${isRight ? 'all of them right' : 'and some are wrong'}`)
console.log(`${lost} frames lost, ${tcpRetransmits} sent again, ${tcpTimeouts} time-outs`)
