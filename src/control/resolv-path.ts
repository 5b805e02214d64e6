/**
 * What must be there so that a path can be followed in a root that has some folders of the host only: its symbolic
 * links, the directories between, and the file at the end. Pure: what the host has comes in as `look`.
 */

import { dirname, join } from 'node:path'

export type Entry = { kind: 'directory' } | { kind: 'file' } | { kind: 'link'; target: string }

/** What to make in the new root, in this order, each under the same path as on the host. */
export type Step = Entry & { path: string }

/** As the kernel (MAXSYMLINKS). */
const MAX_LINKS = 40

/** `shown` are the folders of the new root that show the host's. A path that leads nowhere ends early. */
export function stepsTo(
  path: string,
  shown: readonly string[],
  look: (path: string) => Entry | undefined,
): Step[] {
  const isShown = (at: string) =>
    shown.some((folder) => at === folder || at.startsWith(`${folder}/`))
  const steps: Step[] = []
  let rest = namesOf(path)
  let at = '/'
  let links = 0
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    if (name === '..') {
      at = dirname(at)
      continue
    }
    const next = join(at, name)
    // A shown folder is a directory in the new root, whatever the host makes of that name.
    const entry: Entry | undefined = shown.includes(next) ? { kind: 'directory' } : look(next)
    if (entry === undefined) break
    const isMade = steps.some((step) => step.path === next)
    if (!isShown(next) && !isMade) steps.push({ ...entry, path: next })
    if (entry.kind === 'file') break
    if (entry.kind === 'directory') at = next
    else {
      if (++links > MAX_LINKS) break
      rest = [...namesOf(entry.target), ...rest]
      if (entry.target.startsWith('/')) at = '/'
    }
  }
  return steps
}

const namesOf = (path: string) => path.split('/').filter((name) => name !== '' && name !== '.')
