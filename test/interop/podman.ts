/** Podman in a closed world: its files, an image without any registry, and commands. */
import type { Task } from './closed-world.ts'
import { eventually, inClosedWorld, type Lab } from './lab.ts'

export const IMAGE = 'localhost/bench'

/** The address of a container's own network by default, and those in it. */
export const GUEST = '10.0.2.100'
export const GATEWAY = '10.0.2.2'

export interface Answer {
  name: string
  client: string
}

export class Podman {
  readonly #lab: Lab

  constructor(lab: Lab) {
    this.#lab = lab
  }

  /** Runs `podman ARGUMENTS` as the user; answers its output. It has to succeed. */
  succeed(args: readonly string[], task?: Task): Promise<string> {
    return this.#lab.world.succeed(['podman', ...args], task)
  }

  execute(args: readonly string[], task?: Task): ReturnType<Lab['world']['execute']> {
    return this.#lab.world.execute(['podman', ...args], task)
  }

  /** Runs a command in a container that is made for it. */
  run(options: readonly string[], command: readonly string[], task?: Task): Promise<string> {
    return this.succeed(['run', '--rm', ...this.#mounts, ...options, IMAGE, ...command], task)
  }

  /** A container that does nothing until it finds a file /exit. */
  async idle(name: string, options: readonly string[] = []): Promise<void> {
    const command = ['sh', '-c', 'until [ -e /exit ]; do sleep 0.2; done']
    await this.succeed([
      'run',
      '-d',
      '--name',
      name,
      ...this.#mounts,
      ...options,
      IMAGE,
      ...command,
    ])
  }

  /** A container with peer.mjs as server; answers when it serves. */
  async serve(
    name: string,
    options: readonly string[] = [],
    where: readonly string[] = ['80'],
  ): Promise<void> {
    const server = ['/opt/node', '/opt/peer.mjs', 'serve', name, ...where]
    await this.succeed(['run', '-d', '--name', name, ...this.#mounts, ...options, IMAGE, ...server])
    await this.serves(name, where)
  }

  async serves(name: string, where: readonly string[] = ['80']): Promise<void> {
    const host = where.length > 1 ? where[0] : '127.0.0.1'
    await eventually(() => this.exec(name, ['wget', '-qO-', `http://${host}:${where.at(-1)}/`]))
  }

  /** Runs a command in a container that is there. */
  exec(name: string, command: readonly string[]): Promise<string> {
    return this.succeed(['exec', name, ...command])
  }

  /** Fetches from within a container. */
  async fetch(name: string, url: string): Promise<Answer> {
    return JSON.parse(await this.exec(name, ['wget', '-T', '5', '-qO-', url]))
  }

  /** Asks by UDP from within a container. */
  async ask(name: string, host: string, port: number): Promise<Answer> {
    return JSON.parse(
      await this.exec(name, ['/opt/node', '/opt/peer.mjs', 'udp', host, String(port)]),
    )
  }

  async removeAll(): Promise<void> {
    await this.succeed(['pod', 'rm', '--all', '--force', '--time', '0'])
    await this.succeed(['rm', '--all', '--force', '--time', '0'])
  }

  get #mounts(): string[] {
    return ['-v', '/usr:/usr:ro', '-v', `${this.#lab.world.bin}:/opt:ro`]
  }
}

/** Runs `body` in a closed world with Podman set up; its containers are removed after each test. */
export function withPodman(
  programs: readonly string[],
  body: (lab: Lab, podman: Podman) => void,
): void {
  const prepare = async (lab: Lab): Promise<void> => {
    await lab.world.runScript('image.sh')
    await lab.world.runScript('podman-home.sh', lab.binary)
    lab.tidy = () => new Podman(lab).removeAll()
  }
  const needed = ['podman', 'crun', 'conmon', ...programs]
  inClosedWorld(needed, prepare, (lab) => body(lab, new Podman(lab)))
}
