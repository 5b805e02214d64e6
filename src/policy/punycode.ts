/**
 * Punycode (RFC 3492): the ASCII form of a label that has other letters. Only the way there is needed: names are
 * compared as they stand on the wire.
 */

/** RFC 3492 §5: the parameters of Punycode. */
const BASE = 36
const T_MIN = 1
const T_MAX = 26
const SKEW = 38
const DAMP = 700
const INITIAL_BIAS = 72
const INITIAL_N = 128

/** The label without its prefix `xn--` (RFC 3492 §6.3). */
export function encodePunycode(label: string): string {
  const points = Array.from(label, (letter) => letter.codePointAt(0)!)
  const basic = points.filter((point) => point < INITIAL_N)
  let output = String.fromCharCode(...basic)
  if (basic.length > 0) output += '-'
  let n = INITIAL_N
  let delta = 0
  let bias = INITIAL_BIAS
  for (let handled = basic.length; handled < points.length; n++, delta++) {
    const next = Math.min(...points.filter((point) => point >= n))
    delta += (next - n) * (handled + 1)
    n = next
    for (const point of points) {
      if (point < n) delta++
      if (point !== n) continue
      output += encodeInteger(delta, bias)
      bias = adapt(delta, handled + 1, handled === basic.length)
      delta = 0
      handled++
    }
  }
  return output
}

/** A generalized variable-length integer (RFC 3492 §3.3). */
function encodeInteger(value: number, bias: number): string {
  let digits = ''
  for (let k = BASE; ; k += BASE) {
    const threshold = Math.min(Math.max(k - bias, T_MIN), T_MAX)
    if (value < threshold) return digits + digit(value)
    const rest = value - threshold
    digits += digit(threshold + (rest % (BASE - threshold)))
    value = Math.floor(rest / (BASE - threshold))
  }
}

/** RFC 3492 §5: a to z are 0 to 25, 0 to 9 are 26 to 35. */
const digit = (value: number): string => String.fromCharCode(value < 26 ? 97 + value : 22 + value)

/** Bias adaptation (RFC 3492 §6.1). */
function adapt(delta: number, points: number, isFirst: boolean): number {
  let rest = isFirst ? Math.floor(delta / DAMP) : delta >> 1
  rest += Math.floor(rest / points)
  let k = 0
  for (; rest > ((BASE - T_MIN) * T_MAX) >> 1; k += BASE) rest = Math.floor(rest / (BASE - T_MIN))
  return k + Math.floor(((BASE - T_MIN + 1) * rest) / (rest + SKEW))
}
