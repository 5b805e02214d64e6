/**
 * A command line by the rules of getopt_long(3): options and operands in any order, `--` ends the options,
 * short options in one word (`-c6`, `-m1500`), long ones with `=value` or the next word, cut to any prefix that
 * only one option has. (`util.parseArgs` knows no prefixes, and programs do use them.)
 *
 * Items come in the order of the command line and one by one, so that who reads them can stop at the first
 * wrong value, as slirp4netns does. Nothing follows a problem.
 */

/** One long option. `short` is its one-letter form, '' without one. */
export interface Option {
  readonly name: string
  readonly short: string
  readonly takesValue: boolean
}

export type Item<O extends Option> =
  | { kind: 'option'; option: O; value: string }
  | { kind: 'operand'; value: string }
  /** The reason in glibc's words, without the program's name before it. */
  | { kind: 'problem'; text: string }

/** Walks `words`. An option without a value comes with `value` ''. */
export function* getopt<O extends Option>(
  words: readonly string[],
  options: readonly O[],
): Generator<Item<O>> {
  const rest = words[Symbol.iterator]()
  for (const word of rest) {
    if (word === '--') {
      for (const value of rest) yield { kind: 'operand', value }
      return
    }
    const items = word.startsWith('--')
      ? [longOption(word.slice(2), rest, options)]
      : word.startsWith('-') && word !== '-'
        ? shortOptions(word.slice(1), rest, options)
        : [operand(word)]
    for (const item of items) {
      yield item
      if (item.kind === 'problem') return
    }
  }
}

/** `text` is what follows the two dashes: `name` or `name=value`. */
function longOption<O extends Option>(
  text: string,
  rest: Iterator<string>,
  options: readonly O[],
): Item<O> {
  const equals = text.indexOf('=')
  const name = equals < 0 ? text : text.slice(0, equals)
  const inline = equals < 0 ? undefined : text.slice(equals + 1)

  const exact = options.find((option) => option.name === name)
  const found = exact ? [exact] : options.filter((option) => option.name.startsWith(name))
  const option = found[0]
  if (!option) return problem(`unrecognized option '--${text}'`)
  if (found.length > 1) {
    const names = found.map((candidate) => `'--${candidate.name}'`).join(' ')
    return problem(`option '--${text}' is ambiguous; possibilities: ${names}`)
  }
  if (!option.takesValue) {
    if (inline !== undefined) return problem(`option '--${option.name}' doesn't allow an argument`)
    return chosen(option)
  }
  const value = inline ?? following(rest)
  if (value === undefined) return problem(`option '--${option.name}' requires an argument`)
  return chosen(option, value)
}

/** `letters` is what follows the dash. The first option that takes a value takes all that is left. */
function* shortOptions<O extends Option>(
  letters: string,
  rest: Iterator<string>,
  options: readonly O[],
): Generator<Item<O>> {
  let at = 0
  for (const letter of letters) {
    at += letter.length
    const option = options.find((candidate) => candidate.short === letter)
    if (!option) {
      yield problem(`invalid option -- '${letter}'`)
      return
    }
    if (option.takesValue) {
      const value = letters.slice(at) || following(rest)
      yield value === undefined
        ? problem(`option requires an argument -- '${letter}'`)
        : chosen(option, value)
      return
    }
    yield chosen(option)
  }
}

/** The next word as a value, whatever it looks like: `-m -1` is the value -1. */
function following(rest: Iterator<string>): string | undefined {
  const next = rest.next()
  return next.done ? undefined : next.value
}

const chosen = <O extends Option>(option: O, value = ''): Item<O> => ({
  kind: 'option',
  option,
  value,
})
const operand = (value: string) => ({ kind: 'operand' as const, value })
const problem = (text: string) => ({ kind: 'problem' as const, text })
