// Tests load the addon with what only they call (native/testing); the command line, which they start, loads what ships.
process.env.MACTOK_ADDON = 'mactok_testing'
// Two workers have a team of threads on each core: one that spins while it waits takes the core from the other (63 s instead of 14).
process.env.OMP_WAIT_POLICY ??= 'passive'

/** @type {import('jest').Config} */
export default {
  testEnvironment: './test/support/environment.cjs',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  modulePathIgnorePatterns: ['<rootDir>/(dist|build|.build|prebuilds)/'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'es6' }
      }
    ]
  },
  // More would each load LibTorch and share the same cores.
  maxWorkers: 2,
  testTimeout: 120_000
}
