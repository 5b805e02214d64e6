/** Endpoints, and what comes in an order that is rare: the data plane is a script. */
import { type EventEmitter, once } from 'node:events'
import { expect, test } from 'vitest'
import { DIAL, END_LEN, RELEASE } from '../../src/engine/endpoint-records.ts'
import type { NetworkServer, NetworkSocket, NetworkUdpSocket } from '../../src/index.ts'
import { ScriptedPlane } from './scripted-plane.ts'

const turn = (): Promise<void> => new Promise(setImmediate)

async function soon(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 100 && !holds(); i++) await turn()
}

/** What is thrown where nobody catches it, meanwhile. */
async function uncaughtIn(body: () => Promise<void>): Promise<string[]> {
  const messages: string[] = []
  process.setUncaughtExceptionCaptureCallback(({ message }) => messages.push(message))
  try {
    await body()
    await turn()
  } finally {
    process.setUncaughtExceptionCaptureCallback(null)
  }
  return messages
}

/** The plane, and the id of a connection that is dialled. */
async function dialling(): Promise<{
  plane: ScriptedPlane
  dial: Promise<NetworkSocket>
  id: number
}> {
  const plane = new ScriptedPlane()
  const dial = plane.endpoints.connect({ port: 80 })
  const [record] = await plane.heard()
  expect(record!.kind).toBe(DIAL)
  return { plane, dial, id: record!.id }
}

test('what connects while the network is being closed ends with it', async () => {
  const plane = new ScriptedPlane()
  const sockets: NetworkSocket[] = []
  await plane.endpoints.listen({ port: 80 }, (socket) => {
    sockets.push(socket)
    plane.stop()
  })
  plane.opened(1, 1)
  plane.opened(3, 1)
  plane.opened(5, 99)
  plane.look()
  expect(sockets).toHaveLength(2)
  plane.end()
  await turn()
  expect(sockets.map((socket) => [socket.destroyed, socket.errored])).toEqual([
    [true, null],
    [true, null],
  ])
  expect(plane.holders).toBe(0)
})

test('a dial that is answered while the network is being closed ends with it', async () => {
  const { plane, dial, id } = await dialling()
  plane.stop()
  plane.established(id)
  plane.look()
  plane.end()
  const socket = await dial
  await turn()
  expect(socket.destroyed).toBe(true)
  expect(plane.holders).toBe(0)
})

test('a dial that is answered and reset at once gives a stream whose error can be heard', async () => {
  const { plane, dial, id } = await dialling()
  const later = (async () => {
    const socket = await dial
    return once(socket, 'error')
  })()
  plane.established(id)
  plane.closed(id, 'reset')
  // As when the port of the data plane's thread is read: no promise is served before all is.
  setImmediate(() => plane.look())
  expect(await later).toMatchObject([{ code: 'ECONNRESET' }])
})

test('so does one that is answered when the network fails', async () => {
  const { plane, dial, id } = await dialling()
  const later = (async () => {
    const socket = await dial
    return once(socket, 'error')
  })()
  plane.established(id)
  setImmediate(() => {
    plane.look()
    plane.end({ reason: 'failed', error: new Error('the TAP is gone') })
  })
  expect(await later).toMatchObject([{ code: 'ERR_NETWORK_CLOSED' }])
})

test('an iterator leaves out what is reset before its turn', async () => {
  const plane = new ScriptedPlane()
  const server = await plane.endpoints.listen({ port: 80 })
  const ports: string[] = []
  const reading = (async () => {
    for await (const socket of server) {
      socket.on('error', (error: NodeJS.ErrnoException) => ports.push(`${error.code}`))
      ports.push(`${socket.remotePort}`)
      await turn()
      await turn()
    }
  })()
  for (const id of [1, 3, 5]) plane.opened(id, 1, id)
  plane.look()
  plane.closed(3, 'reset')
  plane.look()
  await turn()
  // One that was reset after its turn has come is told to who has it.
  plane.closed(1, 'reset')
  plane.look()
  for (let i = 0; i < 6; i++) await turn()
  expect(ports).toEqual(['1', 'ECONNRESET', '5'])
  await server.close()
  await reading
})

test('an iterator that is left resets what waits in it, and what comes after it', async () => {
  const plane = new ScriptedPlane()
  const server = await plane.endpoints.listen({ port: 80 })
  const reading = (async () => {
    for await (const socket of server) {
      socket.destroy()
      break
    }
  })()
  for (const id of [1, 3, 5]) plane.opened(id, 1)
  plane.look()
  plane.closed(5, 'reset')
  plane.look()
  await reading
  plane.opened(7, 1)
  plane.look()
  await turn()
  expect(plane.holders).toBe(0)
  const released = (await plane.heard()).filter(({ kind }) => kind === RELEASE)
  expect(released.map(({ id }) => id)).toEqual([1, 3, 7])
})

test('an iterator of a server that is closed gives what waits, and ends', async () => {
  const plane = new ScriptedPlane()
  const server = await plane.endpoints.listen({ port: 80 })
  const iterator = server[Symbol.asyncIterator]()
  const first = iterator.next()
  plane.opened(1, 1)
  plane.opened(3, 1)
  plane.look()
  await server.close()
  const results = [await first, await iterator.next(), await iterator.next()]
  expect(results.map(({ done }) => done)).toEqual([false, false, true])
  const after = server[Symbol.asyncIterator]()
  expect((await after.next()).done).toBe(true)
})

test('what is no datagram is refused, and those after it arrive', async () => {
  const plane = new ScriptedPlane()
  const socket = await plane.endpoints.bind({ port: 53 })
  const wrong = [
    { length: 65_000 },
    [1, 2],
    new ArrayBuffer(8),
    new DataView(new ArrayBuffer(8)),
    7,
    null,
  ]
  for (const data of [...wrong, undefined]) {
    expect(() => socket.send(data as never, 53)).toThrow(
      expect.objectContaining({
        name: 'TypeError',
        code: 'ERR_INVALID_OPTION',
        message: expect.stringMatching(/^data must be a string or a Uint8Array, not /),
      }),
    )
  }
  expect(socket.send('text', 53)).toBe(true)
  expect(socket.send(Buffer.from('octets'), 53)).toBe(true)
  const sent = (await plane.heard()).map(
    ({ payload }) => `${Buffer.from(payload.subarray(END_LEN))}`,
  )
  expect(sent).toEqual(['text', 'octets'])
})

test('many small writes take no longer each than few', async () => {
  const { plane, dial, id } = await dialling()
  plane.established(id)
  plane.look()
  const socket = await dial
  const chunk = Buffer.from('x')
  // Without a grant they are handed on one by one later, all in one go.
  const count = 100_000
  for (let i = 0; i < count; i++) socket.write(chunk)
  plane.granted(id, count)
  plane.look()
  await soon(() => socket.writableLength === 0)
  expect(socket.bytesWritten).toBe(count)
})

test("an exception in a stream's callback, or in a listener, is the program's and stops no other", async () => {
  const plane = new ScriptedPlane()
  const sockets: NetworkSocket[] = []
  await plane.endpoints.listen({ port: 80 }, (socket) => {
    sockets.push(socket)
    if (sockets.length < 3) throw new Error('of a listener')
  })
  const written: number[] = []
  const uncaught = await uncaughtIn(async () => {
    for (const id of [1, 3, 5]) plane.opened(id, 1)
    for (const id of [1, 3, 5]) plane.granted(id, 4 << 20)
    plane.look()
    // More than the ring holds: all of them wait for room.
    for (const [i, socket] of sockets.entries()) {
      socket.write(new Uint8Array(1_500_000), () => {
        written.push(i)
        throw new Error('of a callback')
      })
    }
    for (let i = 0; i < 20; i++) {
      await plane.heard()
      plane.look()
    }
  })
  expect(written.toSorted()).toEqual([0, 1, 2])
  const messages = ['of a callback', 'of a callback', 'of a callback']
  expect(uncaught).toEqual(['of a listener', 'of a listener', ...messages])
})

test("an exception in a listener to 'close' keeps nobody else from the end", async () => {
  const plane = new ScriptedPlane()
  const { endpoints } = plane
  const each = [
    await endpoints.listen({ port: 80 }),
    await endpoints.bind({ port: 53 }),
    await endpoints.listen({ port: 81 }),
    await endpoints.bind({ port: 54 }),
  ] as EventEmitter[]
  for (const one of each) {
    one.on('close', () => {
      throw new Error('of a listener')
    })
  }
  const iterating = (each[2] as NetworkServer)[Symbol.asyncIterator]().next()
  const uncaught = await uncaughtIn(async () => {
    await (each[0] as NetworkServer).close()
    await (each[1] as NetworkUdpSocket).close()
    plane.end()
  })
  expect(uncaught).toEqual(Array(4).fill('of a listener'))
  expect((each[2] as NetworkServer).listening).toBe(false)
  expect((await iterating).done).toBe(true)
})

test('who connects before the answer to listen is there is heard after it', async () => {
  const plane = new ScriptedPlane()
  plane.beforeAnswer = (id) => {
    plane.opened(1, id)
    plane.closed(1, 'finished')
    plane.look()
  }
  const server = await plane.endpoints.listen({ port: 80 })
  const [socket] = await once(server, 'connection')
  expect(socket.remotePort).toBe(40_000)
  expect(await plane.heard()).toEqual([])

  plane.beforeAnswer = (id) => {
    plane.datagram(id, 'early')
    plane.look()
  }
  const udp = await plane.endpoints.bind({ port: 53 })
  const [octets] = await once(udp, 'message')
  expect(`${octets}`).toBe('early')
})

test('a server has as many connections as it may, and resets what is more', async () => {
  const plane = new ScriptedPlane()
  const sockets: NetworkSocket[] = []
  const server = await plane.endpoints.listen({ port: 80 }, (socket) => sockets.push(socket))
  server.maxConnections = 2
  const dropped: unknown[] = []
  server.on('drop', (ends) => dropped.push(ends))
  for (const id of [1, 3, 5]) plane.opened(id, 1, 40_000 + id)
  plane.look()
  expect(sockets).toHaveLength(2)
  expect(dropped).toEqual([
    {
      localAddress: '10.0.2.2',
      localPort: 80,
      localFamily: 'IPv4',
      remoteAddress: '10.0.2.100',
      remotePort: 40_005,
      remoteFamily: 'IPv4',
    },
  ])
  expect((await plane.heard()).map(({ kind, id }) => [kind, id])).toEqual([[RELEASE, 5]])
  sockets[0]!.destroy()
  await turn()
  plane.opened(7, 1)
  plane.opened(9, 1)
  plane.look()
  expect(sockets).toHaveLength(3)
  expect(dropped).toHaveLength(2)
})

test("a stream's 'close' says whether there was an error, and comes after that", async () => {
  const plane = new ScriptedPlane()
  const events: unknown[] = []
  await plane.endpoints.listen({ port: 80 }, (socket) => {
    socket.on('error', ({ message }) => events.push(message))
    socket.on('close', (hadError: boolean) => events.push(hadError))
    if (socket.remotePort === 1) socket.destroy()
  })
  plane.opened(1, 1, 1)
  plane.look()
  await turn()
  expect(events.splice(0)).toEqual([false])
  plane.opened(3, 1, 3)
  plane.closed(3, 'reset')
  plane.look()
  await turn()
  expect(events).toEqual(['read ECONNRESET', true])
})

test('the timeout of a stream is what that of a net.Socket may be', async () => {
  const plane = new ScriptedPlane()
  const server = await plane.endpoints.listen({ port: 80 })
  const connection = once(server, 'connection')
  plane.opened(1, 1)
  plane.look()
  const socket = (await connection)[0] as NetworkSocket
  for (const ms of [-1, Number.NaN, Infinity]) {
    expect(() => socket.setTimeout(ms)).toThrow(RangeError)
  }
  for (const ms of ['abc', null, '1', undefined]) {
    expect(() => socket.setTimeout(ms as never)).toThrow(TypeError)
  }
  let isOver = false
  socket.setTimeout(2 ** 40, () => {
    isOver = true
  })
  expect(socket.timeout).toBe(2 ** 40)
  // Node's own timer would take it for one of a millisecond.
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(isOver).toBe(false)
  socket.destroy()
  socket.setTimeout(1, () => {
    isOver = true
  })
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(isOver).toBe(false)
})
