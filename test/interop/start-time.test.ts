/**
 * How long `podman run` takes with slipway, with slirp4netns and without any network, in turn in one run: reported,
 * and held against the start of Node, of which there is one: the daemon's (`--help` is answered by the shell).
 */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { IMAGE, withPodman } from './podman.ts'

const ROUNDS = 10

/**
 * That many starts of Node may be added at most: the daemon's own and, with its network and its sandbox, what was measured
 * (2.5 on a loaded machine), with some room. A second start, or a time-out, does not fit in.
 */
const MOST = 4

withPodman(['slirp4netns'], (lab, podman) => {
  test('what slipway adds to the start of a container', { timeout: 120_000 }, async () => {
    const slipway = join(lab.world.bin, 'slipway')
    const run = (network: string, daemon: string): Promise<string> => {
      const container = ['run', '--rm', '--network', network, IMAGE, 'true']
      return podman.succeed(['--network-cmd-path', daemon, ...container])
    }
    const contestants: Record<string, () => Promise<string>> = {
      'podman run, no network': () => run('none', '/usr/bin/slirp4netns'),
      'podman run, slirp4netns': () => run('slirp4netns', '/usr/bin/slirp4netns'),
      'podman run, slipway': () => run('slirp4netns', slipway),
      'slipway --help': () => lab.world.succeed([slipway, '--help']),
      'node -e 0': () => lab.world.succeed([join(lab.world.bin, 'node'), '-e', '0']),
      // What it takes to run anything in the world.
      true: () => lab.world.succeed(['true']),
    }
    const times = new Map(Object.keys(contestants).map((name) => [name, [] as number[]]))
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [name, start] of Object.entries(contestants)) {
        const before = performance.now()
        await start()
        // The first time, files are read from the disk.
        if (round > 0) times.get(name)!.push(performance.now() - before)
      }
    }

    const lines = [`${'ms, as seen from outside'.padEnd(26)} best median`]
    for (const [name, list] of times) {
      const sorted = list.toSorted((a, b) => a - b)
      const columns = [sorted[0]!, sorted[ROUNDS / 2]!].map((ms) => ms.toFixed(0).padStart(6))
      lines.push(`${name.padEnd(24)} ${columns.join(' ')}`)
    }
    const best = (name: string): number => Math.min(...times.get(name)!)
    const added = best('podman run, slipway') - best('podman run, slirp4netns')
    const node = best('node -e 0') - best('true')
    lines.push(
      `added by slipway: ${added.toFixed(0)} ms, ${(added / node).toFixed(1)} starts of Node`,
    )
    console.log(lines.join('\n'))
    expect(added).toBeLessThan(MOST * node)
  })
})
