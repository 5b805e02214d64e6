/** The ways to a policy: a value of the program, and the text of a file. */
import { JsonError, type Path, parseJson, positionOf } from './json.ts'
import type { Policy, PolicyInput } from './policy.ts'
import { type Mistake, readPolicy } from './read-policy.ts'

/** One mistake of a policy. */
export interface PolicyProblem {
  /** Where it is, as in JavaScript: `rules[3].name`; '' for the whole. */
  readonly path: string
  readonly message: string
  /** Of a policy in JSON: where in its text, both from 1. */
  readonly line?: number
  readonly column?: number
}

/** A policy that is none, with all that is wrong with it. */
export class PolicyError extends TypeError {
  readonly code = 'ERR_INVALID_POLICY'
  readonly problems: readonly PolicyProblem[]

  constructor(problems: readonly PolicyProblem[], file: string) {
    super(problems.map((problem) => describe(problem, file)).join('\n'))
    this.name = 'PolicyError'
    this.problems = problems
  }
}

/**
 * Checks a policy. Throws a {@link PolicyError}.
 *
 * @example
 * ```js
 * import { definePolicy, simulate } from 'slipway/policy'
 *
 * const policy = definePolicy({
 *   rules: [
 *     { action: 'allow', name: 'registry.npmjs.org', port: 443 },
 *     { action: 'allow', to: '192.0.2.0/24', port: '8000-8999', why: 'the test machines' },
 *   ],
 * })
 * console.log(simulate(policy, { name: 'registry.npmjs.org', port: 443 }).verdict) // allow
 * console.log(simulate(policy, { address: '198.51.100.1', port: 443 }).verdict) // deny
 * ```
 */
export function definePolicy(input: PolicyInput): Policy {
  const mistakes: Mistake[] = []
  const policy = readPolicy(input, mistakes)
  if (policy !== undefined) return policy
  throw new PolicyError(
    mistakes.map(({ path, message }) => ({ path: formatPath(path), message })),
    '',
  )
}

/**
 * Reads a policy from the JSON of a file; `file` is its name, for messages. Throws a {@link PolicyError} whose message has a
 * line for each mistake: `policy.json:7:15: rules[0].name …`.
 */
export function parsePolicy(text: string, file = 'policy'): Policy {
  const problemAt = (at: number, path: Path, message: string): PolicyProblem => ({
    path: formatPath(path),
    message,
    ...positionOf(text, at),
  })
  let document: ReturnType<typeof parseJson>
  try {
    document = parseJson(text)
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    throw new PolicyError([problemAt(error.at, [], `not JSON: ${error.message}`)], file)
  }
  const mistakes: Mistake[] = []
  const policy = readPolicy(document.value, mistakes)
  if (policy !== undefined) return policy
  const problems = mistakes.map(({ path, isName, message }) => {
    const at = isName ? document.offsetOfName(path) : document.offsetOf(path)
    return problemAt(at, path, message)
  })
  throw new PolicyError(problems, file)
}

/** `rules[3].name[0]`. */
function formatPath(path: Path): string {
  const steps = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
  return steps.join('').replace(/^\./, '')
}

function describe({ path, message, line, column }: PolicyProblem, file: string): string {
  const what = path === '' ? `the policy ${message}` : `${path} ${message}`
  return line === undefined ? what : `${file}:${line}:${column}: ${what}`
}
