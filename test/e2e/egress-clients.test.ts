/** Programs that people use, in a container that may talk to good.test and to nobody else: all of them work. */
import { execFileSync } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Network } from '../../src/index.ts'
import type { Namespace } from '../../src/lab/world.ts'
import { Embedder } from '../library/embedder.ts'
import { serveMysql, servePostgres } from './databases.ts'
import { addInternet, type Internet, SITE } from './internet.ts'
import { address6 } from './ipv6.ts'
import { has, inWorlds, peer } from './lab.ts'

const missing = ['ip', 'openssl', 'curl'].filter((name) => !has(name))
/** The system's, which has the system's packages. */
const PYTHON = '/usr/bin/python3'

function hasModule(name: string): boolean {
  try {
    execFileSync(PYTHON, ['-c', `import ${name}`], { stdio: 'ignore' })
    return true
  } catch {
    if (process.env.SLIPWAY_CI) throw new Error(`python3-${name} is not installed`)
    return false
  }
}

/** Of a certificate's public key, as browsers name it: SHA-256 in base64. */
function keyHash(certificate: string): string {
  const key = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(key).digest('base64')
}

describe.skipIf(peer || missing.length > 0)('under a policy of deny', () => {
  inWorlds((lab) => {
    let internet: Internet
    let guest: Namespace
    let program: Embedder
    /** A directory that the world's user may write to. */
    let home: string

    beforeAll(async () => {
      internet = await addInternet(lab)
      guest = await lab.world.container()
      program = await Embedder.beside(guest)
      const any = { action: 'allow', name: ['good.test', 'happy.test'] } as const
      const egress = { rules: [{ ...any, port: [22, 80, 443, 3306, 5432, 9418] }] }
      await program.attach({ target: { pid: guest.pid }, ipv6: true, egress })
      await address6(guest)
      home = mkdtempSync(join(lab.world.directory, 'home-'))
      chmodSync(home, 0o777)
    })
    afterAll(async () => {
      await program.close()
      await guest.close()
    })

    async function run(
      command: readonly string[],
      env: Record<string, string> = {},
      limit = 40_000,
    ): Promise<string> {
      const all = { HOME: home, SSL_CERT_FILE: internet.ca, ...env }
      const { status, stdout, stderr } = await guest.execute(command, { env: all, limit })
      return status === 0 ? stdout.trim() : `exit ${status}: ${stdout}${stderr}`
    }
    const HELLO = 'hello from good.test'

    test('curl, over both families, kept alive and in parallel', async () => {
      const curl = ['curl', '-sS', '--cacert', internet.ca]
      for (const way of ['-4', '-6'])
        expect(await run([...curl, way, 'https://good.test/'])).toBe(HELLO)
      const urls = ['http://good.test/', 'http://good.test/', 'http://good.test/']
      expect(await run([...curl, ...urls])).toBe([HELLO, HELLO, HELLO].join('\n'))
      expect(await run([...curl, '-d', 'x'.repeat(100_000), 'http://good.test/'])).toBe(HELLO)
      expect(
        await run([
          ...curl,
          '-H',
          'Transfer-Encoding: chunked',
          '-d',
          'x'.repeat(9_000),
          'http://good.test/',
        ]),
      ).toBe(HELLO)
    })

    test('curl, where one family is dead', async () => {
      const command = ['curl', '-sS', '--cacert', internet.ca, 'https://happy.test/']
      expect(await run(command)).toBe('hello from happy.test')
    })

    test('Node’s fetch, as npm has it', async () => {
      const script =
        "fetch('https://good.test/').then((r) => r.text()).then((t) => console.log(t.trim()))"
      expect(
        await run([process.execPath, '-e', script], { NODE_EXTRA_CA_CERTS: internet.ca }),
      ).toBe(HELLO)
    })

    test.skipIf(!has('npm'))('npm', async () => {
      const npm = [
        'npm',
        'ping',
        '--registry=https://good.test/',
        `--cafile=${internet.ca}`,
        `--cache=${home}/npm`,
      ]
      expect(await run([...npm, '--no-update-notifier', '--json'])).toContain(
        '"registry": "https://good.test/"',
      )
      const denied = npm.map((word) => word.replace('good.test', 'evil.test'))
      expect(await run([...denied, '--fetch-retries=0'])).toMatch(/ENOTFOUND/)
    })

    describe.skipIf(!has('git'))('git', () => {
      beforeAll(() => {
        const repository = join(internet.files, 'repository.git')
        const git = (...args: string[]): void => void execFileSync('git', args, { stdio: 'pipe' })
        const work = join(internet.files, 'work')
        git('init', '-q', '-b', 'main', work)
        writeFileSync(join(work, 'file'), 'of a repository\n')
        const who = ['-c', 'user.name=x', '-c', 'user.email=x@good.test']
        git('-C', work, 'add', '.')
        git('-C', work, ...who, 'commit', '-q', '-m', 'first')
        git('clone', '-q', '--bare', work, repository)
        git('-C', repository, 'update-server-info')
        execFileSync('chmod', ['-R', 'a+rX', internet.files])
      })
      const clone = async (url: string, name: string, env = {}): Promise<string> => {
        const to = join(home, name)
        const said = await run(['git', '-c', 'safe.directory=*', 'clone', '-q', url, to], {
          GIT_SSL_CAINFO: internet.ca,
          ...env,
        })
        return said === '' ? run(['cat', join(to, 'file')]) : said
      }

      test('over HTTPS', async () => {
        expect(await clone('https://good.test/files/repository.git', 'by-https')).toBe(
          'of a repository',
        )
      })

      test('of its own protocol', async () => {
        // The program itself: git(1) would be its parent, and live shorter.
        const path = execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim()
        const daemon = [
          ...[`${path}/git-daemon`, '--export-all', `--base-path=${internet.files}`],
          ...[`--listen=${SITE}`, '--reuseaddr'],
        ]
        const trust = {
          GIT_CONFIG_COUNT: '1',
          GIT_CONFIG_KEY_0: 'safe.directory',
          GIT_CONFIG_VALUE_0: '*',
        }
        internet.namespace.start(daemon, { env: trust })
        await new Promise((resolve) => setTimeout(resolve, 500))
        expect(await clone('git://good.test/repository.git', 'by-git')).toBe('of a repository')
      })

      test.skipIf(!has('ssh') || !hasModule('paramiko'))('over SSH', async () => {
        // Port 22 is taken by a text; the server has another, and the rule as well.
        const script = fileURLToPath(new URL('ssh-server.py', import.meta.url))
        const copy = join(internet.files, 'ssh-server.py')
        cpSync(script, copy)
        const server = internet.namespace.start([PYTHON, copy, SITE, '5433'], {
          env: {
            GIT_CONFIG_COUNT: '1',
            GIT_CONFIG_KEY_0: 'safe.directory',
            GIT_CONFIG_VALUE_0: '*',
          },
        })
        await new Promise<void>((resolve) => server.child.stdout!.once('data', () => resolve()))
        await program.run(async ({ keep }) => {
          const network = keep.get('network') as import('../../src/index.ts').Network
          await network.setPolicy({
            rules: [
              {
                action: 'allow',
                name: ['good.test', 'happy.test'],
                port: [80, 443, 3306, 5432, 5433, 9418, 22],
              },
            ],
          })
        })
        const ssh =
          'ssh -F /dev/null -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR'
        expect(
          await clone(`ssh://git@good.test:5433${internet.files}/repository.git`, 'by-ssh', {
            GIT_SSH_COMMAND: ssh,
          }),
        ).toBe('of a repository')
        server.kill()
      })
    })

    test.skipIf(!has('apt-get'))('apt', async () => {
      const folder = join(internet.files, 'apt')
      mkdirSync(folder, { recursive: true })
      writeFileSync(
        join(folder, 'Packages'),
        'Package: nothing\nVersion: 1\nArchitecture: all\nFilename: ./nothing.deb\nSize: 1\nMD5sum: 0\n',
      )
      const list = join(home, 'sources.list')
      writeFileSync(list, 'deb [trusted=yes] http://good.test/files/apt ./\n')
      const state = join(home, 'apt')
      for (const name of ['lists/partial', 'cache/archives/partial'])
        mkdirSync(join(state, name), { recursive: true })
      execFileSync('chmod', ['-R', '777', state])
      const options = [
        `Dir::Etc::sourcelist=${list}`,
        'Dir::Etc::sourceparts=-',
        `Dir::State=${state}`,
        `Dir::Cache=${state}/cache`,
        'APT::Sandbox::User=',
        'Acquire::Languages=none',
      ]
      const said = await run(['apt-get', 'update', ...options.flatMap((option) => ['-o', option])])
      expect(said).toMatch(/Get:\d+ http:\/\/good\.test\/files\/apt \.\/ Packages/)
    })

    test.skipIf(!hasModule('requests'))('Python’s requests', async () => {
      const script =
        "import requests; s = requests.Session(); print([s.get(u).text.strip() for u in ['https://good.test/', 'http://good.test/', 'https://good.test/']])"
      const said = await run([PYTHON, '-c', script], { REQUESTS_CA_BUNDLE: internet.ca })
      expect(said).toBe(`['${HELLO}', '${HELLO}', '${HELLO}']`)
    })

    test.skipIf(!has('java') || !has('keytool'))('a Java client', async () => {
      const source = join(home, 'Get.java')
      writeFileSync(
        source,
        `import java.net.URI; import java.net.http.*;
         public class Get { public static void main(String[] a) throws Exception {
           var client = HttpClient.newHttpClient();
           for (int i = 0; i < 2; i++) {
             var request = HttpRequest.newBuilder(URI.create("https://good.test/")).build();
             System.out.print(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
           } } }`,
      )
      const store = join(home, 'trust.p12')
      execFileSync(
        'keytool',
        [
          '-importcert',
          '-noprompt',
          '-alias',
          'ca',
          '-file',
          internet.ca,
          '-keystore',
          store,
          '-storetype',
          'PKCS12',
          '-storepass',
          'changeit',
        ],
        { stdio: 'pipe' },
      )
      chmodSync(store, 0o644)
      const trust = [
        `-Djavax.net.ssl.trustStore=${store}`,
        '-Djavax.net.ssl.trustStorePassword=changeit',
      ]
      expect(await run(['java', ...trust, source], {}, 60_000)).toBe(`${HELLO}\n${HELLO}`)
    })

    test.skipIf(!has('chromium'))(
      'Chromium, which says ECH in every ClientHello, and tries HTTP/3 and goes back',
      { timeout: 90_000 },
      async () => {
        // Of a key that it trusts it takes the word that HTTP/3 is there; of a certificate that it overlooks it does not.
        const page = `<body><script>
          const load = async () => {
            for (let i = 0; i < 6; i++) {
              await fetch('https://good.test/?' + i, { mode: 'no-cors', cache: 'no-store' })
              await new Promise((resolve) => setTimeout(resolve, 300))
              document.body.append(' page ' + i)
            }
          }
          load()</script>`
        const denied = async (): Promise<number> =>
          program.run(
            async ({ keep }) =>
              (await (keep.get('network') as Network).stats()).egress!.flowsDenied,
          )
        const before = await denied()
        const said = await run(
          [
            ...['chromium', '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run'],
            ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
            `--ignore-certificate-errors-spki-list=${keyHash(internet.pem.cert)}`,
            ...['--enable-quic', '--virtual-time-budget=8000'],
            ...[`--user-data-dir=${join(home, 'chromium')}`, '--dump-dom'],
            `data:text/html,${encodeURIComponent(page)}`,
          ],
          {},
          60_000,
        )
        expect(said).toContain('page 5')
        expect(await denied()).toBeGreaterThan(before)
      },
    )

    test.skipIf(!has('psql'))('psql, which asks for TLS in its own words', async () => {
      await internet.namespace.run(servePostgres, SITE, internet.pem)
      const url = `host=good.test user=x dbname=x sslmode=require connect_timeout=5`
      expect(await run(['psql', '-X', '-q', url, '-c', ';'])).toBe('')
    })

    test.skipIf(!has('mysql'))('mysql, whose server speaks first', async () => {
      await internet.namespace.run(serveMysql, SITE)
      const options = [
        '--protocol=tcp',
        '--skip-ssl',
        '--connect-timeout=5',
        '-h',
        'good.test',
        '-u',
        'x',
      ]
      expect(await run(['mysql', '--no-defaults', ...options, '-e', 'do 1'])).toBe('')
    })

    test.skipIf(!has('musl-gcc'))('a program with musl', async () => {
      const source = join(home, 'resolve.c')
      const binary = join(home, 'resolve')
      writeFileSync(
        source,
        `#include <netdb.h>
         #include <stdio.h>
         int main(int argc, char **argv) {
           struct addrinfo *found, hints = { .ai_socktype = SOCK_STREAM };
           int error = getaddrinfo(argv[1], "443", &hints, &found);
           puts(error ? gai_strerror(error) : "found");
           return 0;
         }`,
      )
      execFileSync('musl-gcc', ['-static', '-o', binary, source], { stdio: 'pipe' })
      chmodSync(binary, 0o755)
      const resolvConf = join(lab.world.directory, `resolv.conf.${guest.pid}`)
      writeFileSync(resolvConf, 'search corp.example\noptions ndots:5\nnameserver 10.0.2.3\n')
      expect(await run([binary, 'good.test'])).toBe('found')
      const time = async (name: string, says: RegExp): Promise<number> => {
        const started = performance.now()
        expect(await run([binary, name])).toMatch(says)
        return performance.now() - started
      }
      const denied: number[] = []
      const known: number[] = []
      for (let i = 0; i < 5; i++) {
        denied.push(await time('evil.test', /Name does not resolve/))
        known.push(await time('localhost', /found/))
      }
      // musl waits 2.5 s for a server that is silent, and 5 s after a refusal. The rest is what a start of the program takes.
      const own = Math.min(...known)
      expect(Math.min(...denied) - own).toBeLessThan(100 + own)
    })
  })
})
