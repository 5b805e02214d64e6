/**
 * An Internet behind the "host": a namespace of its own with addresses that look like the real ones, HTTP and HTTPS of a CA of
 * its own. Nothing of it leads anywhere else.
 *
 *   guest ── slipway at the host ── 185.12.64.1 │ 185.12.64.2, and all of SITE, EVIL, … on its loopback
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Kit } from '../../src/lab/agent.ts'
import { serveDns } from '../../src/lab/dns-server.ts'
import type { Namespace } from '../../src/lab/world.ts'
import type { Lab } from './lab.ts'

/** The host's own address on that side: what a guest must not reach either. */
export const HOST_OUTSIDE = '185.12.64.1'
/** good.test, other.test and many more are here. */
export const SITE = '104.16.0.34'
export const SITE6 = '2606:4700::6810:22'
/** Somebody's who is not to be talked to; name servers and all. */
export const EVIL = '45.33.32.156'
export const EVIL6 = '2600:3c01::f03c'
/** Another site. */
export const SECOND = '140.82.121.4'

const NAMES: Readonly<Record<string, string[]>> = {
  'good.test': [SITE, SITE6],
  'www.good.test': [SITE],
  'other.test': [SITE, SITE6],
  'second.test': [SECOND],
  'evil.test': [EVIL, EVIL6],
  'alias.test': ['cdn.test'],
  'cdn.test': [SITE],
  'lured.test': ['evil.test'],
  'local.test': ['127.0.0.1', '::1', SITE],
  'lan.test': ['10.1.2.3', HOST_OUTSIDE],
  'metadata.test': ['169.254.169.254'],
  'happy.test': [SITE, '2606:4700::dead'],
  'many.test': Array.from({ length: 60 }, (_, n) => `104.17.0.${n}`),
}

export interface Internet {
  readonly namespace: Namespace
  /** The CA's certificate: a file that everybody may read. */
  readonly ca: string
  /** Of all names. */
  readonly pem: { readonly key: string; readonly cert: string }
  /** What is below it is at /files/ of each site. */
  readonly files: string
  /** Octets that arrived at that address and port, once connections are over. */
  octetsAt(address: string, port: number): Promise<number>
  /** Names that the host's name server was asked for since the last call. */
  askedNames(): Promise<string[]>
}

export async function addInternet({ world, host }: Lab): Promise<Internet> {
  const namespace = await world.inner(host)
  await configure(
    host,
    `ip link add wan type veth peer name lan netns ${namespace.pid}
     ip addr add ${HOST_OUTSIDE}/24 dev wan; ip addr add 2a01:4f8::1/64 dev wan nodad
     ip link set wan up`,
  )
  const addresses = [SITE, EVIL, SECOND].map((each) => `ip addr add ${each}/32 dev lo`)
  const addresses6 = [SITE6, EVIL6].map((each) => `ip addr add ${each}/128 dev lo nodad`)
  await configure(
    namespace,
    `ip link set lo up; ip link set lan up
     ip addr add 185.12.64.2/24 dev lan; ip addr add 2a01:4f8::2/64 dev lan nodad
     ${[...addresses, ...addresses6].join('\n')}`,
  )
  await configure(
    host,
    'ip route add default via 185.12.64.2; ip -6 route add default via 2a01:4f8::2',
  )
  const { ca, key, cert } = makeCertificates(world.directory)
  const pem = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
  const files = join(world.directory, 'files')
  mkdirSync(files, { recursive: true })
  chmodSync(files, 0o777)
  await namespace.run(serveSites, [SITE, SITE6, EVIL, EVIL6, SECOND], pem, files)
  await namespace.run(serveDns, { 'anything.test': [EVIL] }, EVIL)
  await host.run(serveDns, NAMES, '127.0.0.1', 1)
  return {
    namespace,
    ca,
    pem,
    files,
    octetsAt: (address, port) =>
      namespace.run(
        ({ keep }, name) => (keep.get(name) as number | undefined) ?? 0,
        `octets ${address} ${port}`,
      ),
    askedNames: () =>
      host.run(({ keep }) => {
        const names = (keep.get('dns names') as string[] | undefined) ?? []
        keep.set('dns names', [])
        return names
      }),
  }
}

async function configure(namespace: Namespace, script: string): Promise<void> {
  const { status, stderr } = await namespace.execute(['sh', '-ec', script])
  if (status !== 0) throw new Error(`cannot make an Internet: ${stderr}\n${script}`)
}

/** One certificate for all names. */
function makeCertificates(directory: string): { ca: string; key: string; cert: string } {
  const [ca, caKey, key, cert, csr, ext] = ['ca', 'ca-key', 'key', 'cert', 'csr', 'ext'].map(
    (name) => join(directory, `${name}.pem`),
  ) as [string, string, string, string, string, string]
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' })
  const names = Object.keys(NAMES).map((name) => `DNS:${name}`)
  const all = [...names, `IP:${SITE}`, `IP:${EVIL}`, 'DNS:*.good.test']
  writeFileSync(ext, `subjectAltName=${all.join(',')}\n`)
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl(
    'req',
    '-x509',
    ...ec,
    '-keyout',
    caKey,
    '-out',
    ca,
    '-subj',
    '/CN=A CA of tests',
    '-days',
    '2',
  )
  openssl('req', ...ec, '-keyout', key, '-out', csr, '-subj', '/CN=good.test')
  const sign = ['-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-days', '2', '-extfile', ext]
  openssl('x509', '-req', '-in', csr, '-out', cert, ...sign)
  return { ca, key, cert }
}

/** HTTPS at 443, HTTP at 80, text at 22 and echo of UDP at 443 and 4433, at each address. Octets are counted as they come. */
async function serveSites(
  { net, http, dgram, fs, keep, load, bind }: Kit,
  addresses: readonly string[],
  pem: { key: string; cert: string },
  files: string,
): Promise<void> {
  const { createServer } = (await load('node:https')) as typeof import('node:https')
  const count = (address: string, port: number, octets: number): void => {
    const name = `octets ${address} ${port}`
    keep.set(name, ((keep.get(name) as number | undefined) ?? 0) + octets)
  }
  const answer = (
    request: import('node:http').IncomingMessage,
    response: import('node:http').ServerResponse,
  ): void => {
    request.resume()
    const [path = ''] = (request.url ?? '').split('?')
    // HTTP/3 is said to be there, and is not.
    response.setHeader('Alt-Svc', 'h3=":443"')
    if (path.startsWith('/files/')) {
      fs.readFile(files + path.slice('/files'.length), (error, octets) => {
        response.writeHead(error ? 404 : 200).end(octets)
      })
      return
    }
    if (path === '/-/ping') return void response.end('{}')
    request.on('end', () => response.end(`hello from ${request.headers.host}\n`))
  }
  for (const address of addresses) {
    const https = createServer(pem, answer)
    const plain = http.createServer(answer)
    const text = net.createServer((socket) => {
      socket.on('error', () => {})
      socket.write('SSH-2.0-tests\r\n')
      socket.on('data', (octets) => socket.write(octets))
    })
    for (const server of [https, plain]) server.on('clientError', (_, socket) => socket.destroy())
    https.on('tlsClientError', () => {})
    for (const [port, server] of [
      [443, https],
      [80, plain],
      [22, text],
    ] as const) {
      const outer = net.createServer((socket) => {
        let seen = 0
        const update = (): void => {
          count(address, port, socket.bytesRead - seen)
          seen = socket.bytesRead
        }
        const timer = setInterval(update, 20)
        socket.on('close', () => {
          clearInterval(timer)
          update()
        })
        server.emit('connection', socket)
      })
      await new Promise<void>((resolve) => outer.listen(port, address, 128, resolve))
    }
    for (const port of [443, 4433]) {
      const udp = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4')
      udp.on('message', (octets, from) => {
        count(address, port + 100_000, octets.length)
        udp.send(octets, from.port, from.address)
      })
      await bind(udp, address, port)
    }
  }
}
