/** What the person in front of the demo sees: one line a step, indented facts under it. */

const colour = process.stdout.isTTY === true && !process.env.NO_COLOR
const paint = (code: number, text: string): string =>
  colour ? `\x1b[${code}m${text}\x1b[0m` : text

export const bold = (text: string): string => paint(1, text)
export const dim = (text: string): string => paint(2, text)
export const green = (text: string): string => paint(32, text)
export const red = (text: string): string => paint(31, text)

const WIDTH = 88

export function say(text: string = ''): void {
  process.stdout.write(`${text}\n`)
}

/** A heading of what follows. */
export function heading(text: string): void {
  say(`\n  ${bold(text)}`)
}

/** A step that is done: what happened, and at the right margin what it took. */
export function done(text: string, measured: string = ''): void {
  const gap = ' '.repeat(Math.max(2, WIDTH - 4 - text.length - measured.length))
  say(`  ${green('✓')} ${text}${measured ? gap + dim(measured) : ''}`)
}

export function failed(text: string, reason: string): void {
  say(`  ${red('✗')} ${text}`)
  for (const line of reason.trim().split('\n')) say(`    ${red(line)}`)
}

export function fact(text: string): void {
  say(`    ${dim(text)}`)
}

export function ms(value: number): string {
  return value < 10 ? `${value.toFixed(1)} ms` : `${value.toFixed(0)} ms`
}

export function size(octets: number): string {
  return octets >= 1 << 20 ? `${(octets / (1 << 20)).toFixed(0)} MiB` : `${octets} octets`
}
