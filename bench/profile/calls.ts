/** System calls between two counts (count.mjs), for each GiB and each packet. Pure. */

export interface Count {
  calls: number
  failed: number
  octets: number
}

export type Counts = Record<string, Count>

/** What the calls were made for. */
export interface Work {
  /** 2^30 octets of text; undefined where the workload is not about that. */
  gibibytes: number | undefined
  /** Frames of the device, both ways: up to 64 KiB each with segmentation offload. */
  frames: number
  /** Packets that these are on a wire, no longer than the MTU. */
  packets: number
}

export function difference(before: Counts, after: Counts): Counts {
  const names = Object.keys(after)
  return Object.fromEntries(
    names.flatMap((name) => {
      const { calls, failed, octets } = after[name]!
      const old = before[name] ?? { calls: 0, failed: 0, octets: 0 }
      if (calls === old.calls) return []
      return [
        [
          name,
          { calls: calls - old.calls, failed: failed - old.failed, octets: octets - old.octets },
        ],
      ]
    }),
  )
}

/** `octets` in `frames` of the device are so many packets, each with a header of Ethernet. */
export function packetsOf(frames: number, octets: number, mtu: number): number {
  return Math.max(frames, Math.ceil(octets / (mtu + 14)))
}

export function tableOf(counts: Counts, { gibibytes, frames, packets }: Work): string {
  const rows = Object.entries(counts).toSorted(([, a], [, b]) => b.calls - a.calls)
  const sum = rows.reduce((total, [, { calls }]) => total + calls, 0)
  const failed = rows.reduce((total, [, count]) => total + count.failed, 0)
  const line = (name: string, { calls, failed, octets }: Count): string[] => [
    name,
    `${calls}`,
    gibibytes === undefined ? '' : (calls / gibibytes).toFixed(0),
    (calls / Math.max(1, frames)).toFixed(3),
    (calls / Math.max(1, packets)).toFixed(4),
    octets === 0 ? '' : (octets / Math.max(1, calls - failed)).toFixed(0),
    failed === 0 ? '' : `${((100 * failed) / calls).toFixed(1)} %`,
  ]
  const lines = [
    ['', 'calls', 'per GiB', 'per frame', 'per packet', 'octets each', 'failed'],
    ...rows.map(([name, count]) => line(name, count)),
    line('all', { calls: sum, failed, octets: 0 }),
  ]
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((cells) => cells[i]!.length)))
  return lines
    .map((cells) =>
      cells
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
