import { expect, test } from 'vitest'
import { type Plan, planOf } from '../../../bench/suite/options.ts'

const plan = (...argv: string[]): Plan => planOf(argv) as Plan

test('without options: five rounds at four MTUs, everything', () => {
  expect(plan()).toMatchObject({
    rounds: 5,
    mtus: [1500, 4000, 16_384, 65_520],
    quick: false,
    smoke: false,
    only: undefined,
    groups: undefined,
    nodes: [],
    outputs: {},
    congestion: undefined,
    effort: { seconds: 3, connections: [1_000, 10_000], watch: 30 },
  })
})

test('--quick and --smoke are one round; what is said besides holds', () => {
  expect(plan('--quick')).toMatchObject({ rounds: 1, mtus: [1500, 65_520], quick: true })
  expect(plan('--smoke')).toMatchObject({ rounds: 1, mtus: [1500], smoke: true })
  expect(plan('--quick', '--rounds', '3', '--seconds', '2', '--mtu', '4000')).toMatchObject({
    rounds: 3,
    mtus: [4000],
    effort: { seconds: 2 },
  })
})

test('a group that is asked for is measured whole, by --quick as well', () => {
  expect(plan('--quick', '--group', 'TCP')).toMatchObject({ quick: false, groups: ['TCP'] })
})

test('lists are cut at commas, and an MTU counts once', () => {
  expect(plan('--only', 'slipway,pasta', '--node', 'a,b', '--mtu', '1500,1500,4000')).toMatchObject(
    { only: ['slipway', 'pasta'], nodes: ['a', 'b'], mtus: [1500, 4000] },
  )
})

test('outputs, each where it is said', () => {
  const { outputs } = plan('--json', 'a', '--html', 'b', '--svg', 'c', '--markdown', 'd')
  expect(outputs).toEqual({ json: 'a', html: 'b', svg: 'c', markdown: 'd' })
})

test.each([
  [['--rounds', '0'], 'cannot use --rounds 0: it is a whole number from 1 to 1000'],
  [['--rounds', '1.5'], 'cannot use --rounds 1.5'],
  [['--rounds', '1e2'], 'cannot use --rounds 1e2'],
  [['--seconds', 'x'], 'cannot use --seconds x'],
  [['--mtu', '1500,65521'], 'cannot use --mtu 65521'],
  [['--mtu', ''], 'cannot use --mtu '],
  [['--quick', '--smoke'], 'cannot use --quick with --smoke'],
  [['--frobnicate'], "Unknown option '--frobnicate'"],
  [['slipway'], "Unexpected argument 'slipway'"],
])('%j is an error that names it', (argv, message) => {
  expect(() => planOf(argv)).toThrow(message)
})

test('--help before all else', () => {
  expect(planOf(['--help', '--rounds', '0'])).toBe('help')
})
