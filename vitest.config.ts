import { availableParallelism } from 'node:os'
import { configDefaults, defineConfig } from 'vitest/config'

// .ci/run has a step of its own for what runs Podman and others.
const apart = process.env.SLIPWAY_INTEROP === 'apart' ? ['test/interop/**'] : []

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...apart],
    // Most of them wait for processes and clocks: one more at a time than there are processors keeps a small machine busy.
    maxWorkers: availableParallelism() + 1,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
