/**
 * The command over a network that carries nothing: what `dist` does around the engine, without a TAP. FAKE in the
 * environment says how the network behaves.
 */
import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { main } from '../../dist/control/main.js'

const fake = process.env.FAKE ?? ''
const never = new Promise(() => {})

/** Without epoll: reads to the end and takes that for the hang-up. */
function watchHangup(fd, callback) {
  try {
    new Socket({ fd, readable: true, writable: false }).resume().once('close', callback)
  } catch {
    // A file: it does not hang up.
  }
  return true
}

async function startNetwork() {
  if (fake === 'fail') throw new Error('cannot open TAP tap0: EPERM')
  if (fake === 'hang') {
    writeSync(1, 'starting\n')
    await never
  }
  if (fake === 'crash') setTimeout(() => nowhere.toBeFound, 100)
  return {
    addresses: {
      network: '10.0.2.0',
      netmask: '255.255.255.0',
      gateway: '10.0.2.2',
      dns: '10.0.2.3',
      guest: '10.0.2.100',
      dhcpBegin: '10.0.2.15',
      dhcpEnd: '10.0.2.30',
    },
    tapFd: 5,
    forwards: { add: () => never, list: async () => [], remove: async () => false },
    closed: new Promise((resolve) => {
      if (fake === 'gone') setTimeout(() => resolve({ reason: 'tap-gone' }), 100)
    }),
    watchHangup,
    observe: () => {},
    capture: () => {},
    stats: () => ({}),
    close: () => (fake === 'stuck' ? never : Promise.resolve()),
  }
}

process.exit(await main(process.argv.slice(2), 'slipway', startNetwork))
