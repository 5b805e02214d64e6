/**
 * The API's socket: one request and one answer per connection.
 *
 *  client                              server
 *  connects                        →   accepted; the longest waiting one is dropped when there are too many
 *  request, whole or in pieces     →   complete, too large, or ended by the client's half-close: judged at once
 *                                  ←   the answer in one write, then our half-close
 *  more octets                     →   read and thrown away, so that our close is no reset
 *  closes                          →   closed; after LINGER without it, too
 *  nothing for PATIENCE            →   what there is of a request is answered, a silent client is dropped
 *
 * Everything happens in Node's own loop, and nothing waits for a client: a slow or silent one stops nobody.
 *
 * The socket is bound under another name in the same folder and renamed when it listens. So a stale one is replaced
 * in one step, a caller who waits for the file (Podman) never finds a socket that does not listen yet, and libuv,
 * which unlinks what it has bound, does not unlink a successor's socket.
 */

import { lstatSync, renameSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { constants as osConstants } from 'node:os'
import { basename, dirname } from 'node:path'
import type { Folder } from '../sys/folder.ts'
import { answer, badRequest, type Served } from './api.ts'
import { Request } from './api-request.ts'
import { strerror } from './host.ts'

export interface ApiServer {
  /** Where the socket is. Held open, because a path may not lead there any more at the end. */
  readonly folder: Folder
  /** Synchronous, so that it may be called when the process exits. Calling it again does nothing. */
  close(): void
}

export interface ApiServerOptions {
  /** Ms that a client may be silent. Ours; it is long enough for somebody who types. */
  readonly patience?: number
  /** Ms that a client has to close after our answer. Ours. */
  readonly linger?: number
  /** Clients served at the same time. Ours: descriptors are for the guest's flows. */
  readonly maxClients?: number
  /** Gets each request with its answer. */
  readonly log?: (request: string, answer: string) => void
}

/** Serves the API on a socket at `path`. Rejects in upstream's words when it cannot be bound. */
export async function serveApi(
  path: string,
  network: Served,
  { patience = 10_000, linger = 1_000, maxClients = 64, log }: ApiServerOptions = {},
): Promise<ApiServer> {
  const clients = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (client) => {
    for (const oldest of clients) {
      if (clients.size < maxClients) break
      clients.delete(oldest)
      oldest.destroy()
    }
    clients.add(client)
    client.once('close', () => clients.delete(client))
    serve(client, network, { patience, linger, log })
  })
  const { folder, release } = await openSocket(server, path)
  return {
    folder,
    close() {
      for (const client of clients) client.destroy()
      release()
    },
  }
}

/**
 * Makes a server listen on a socket at `path`. `release` ends that, synchronously, and unlinks the socket unless it was
 * replaced; calling it again does nothing.
 */
export async function openSocket(
  server: Server,
  path: string,
): Promise<{ folder: Folder; release: () => void }> {
  const folder = await openFolder(path)
  const name = basename(path)
  const bound = await bind(server, folder, name)
  // accept() that fails (a full descriptor table) costs that client, not the server.
  server.on('error', () => {})
  const release = (): void => {
    if (!server.listening) return
    server.close()
    if (folder.identity(name) === bound) folder.unlink(name)
    folder.close()
  }
  return { folder, release }
}

function serve(
  client: Socket,
  network: Served,
  { patience, linger, log }: { patience: number; linger: number; log: ApiServerOptions['log'] },
): void {
  const request = new Request()
  let isAnswered = false
  const reply = (text: string) => {
    client.end(text)
    client.setTimeout(0)
    // However much it goes on sending.
    const late = setTimeout(() => client.destroy(), linger)
    client.once('close', () => clearTimeout(late))
  }
  const judge = async () => {
    isAnswered = true
    const text = await answer(request.text(), network)
    reply(text)
    log?.(request.text(), text)
  }
  client.setTimeout(patience)
  client.on('data', (chunk: Buffer) => {
    if (isAnswered) return
    const state = request.take(chunk)
    if (state === 'complete') void judge()
    if (state === 'too-large') {
      isAnswered = true
      reply(badRequest('too large message'))
    }
  })
  client.on('end', () => {
    if (!isAnswered) void judge()
  })
  client.on('timeout', () => {
    if (client.bytesRead === 0) client.destroy()
    else if (!isAnswered) void judge()
  })
  client.on('error', () => client.destroy())
}

/** Loaded here, so that a command line that is wrong does not load it. */
async function openFolder(path: string): Promise<Folder> {
  const { Folder } = await import('../sys/folder.ts')
  try {
    return new Folder(dirname(path))
  } catch (error) {
    throw cannotBind(error)
  }
}

/** Binds, listens, and gives the socket its name. The result tells it from others of that name. */
async function bind(server: Server, folder: Folder, name: string): Promise<string | undefined> {
  // By way of the open folder the name is short, however long its path is.
  const inside = `/proc/self/fd/${folder.fd}`
  try {
    const before = lstatSync(`${inside}/${name}`, { throwIfNoEntry: false })
    if (before && !before.isSocket())
      throw Object.assign(new Error(), { errno: -osConstants.errno.EADDRINUSE })
    const unnamed = `${inside}/.slipway-${process.pid}-${Date.now().toString(36)}`
    await listen(server, unnamed)
    renameSync(unnamed, `${inside}/${name}`)
    return folder.identity(name)
  } catch (error) {
    server.close()
    folder.close()
    throw cannotBind(error)
  }
}

const cannotBind = (error: unknown) =>
  new Error(`api_bindlisten: bind: ${strerror(error)}`, { cause: error })

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
