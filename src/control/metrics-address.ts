/** The value of --metrics. Pure. */
import { versionOf } from '../stack/wire/address.ts'

/** Where to listen. */
export type MetricsAddress =
  | { readonly path: string }
  | { readonly host: string; readonly port: number }

/** What `--metrics` names: `HOST:PORT`, `[HOST]:PORT`, or with a slash in it a path. Undefined when it is neither. */
export function readMetricsAddress(text: string): MetricsAddress | undefined {
  if (text.includes('/')) return { path: text }
  const [, v6, v4, digits] = /^(?:\[([^\]]+)\]|([\d.]+)):(\d{1,5})$/.exec(text) ?? []
  const host = v6 ?? v4 ?? ''
  const port = Number(digits)
  const isRight = versionOf(host) === (v6 === undefined ? 4 : 6) && port >= 1 && port <= 65535
  return isRight ? { host, port } : undefined
}
