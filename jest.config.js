// Tests load the addon with what only they call (native/testing); the command line, which they start, loads what ships.
process.env.MACTOK_ADDON = 'mactok_testing'
// Workers share the cores; test/native/kernels computes with two threads.
process.env.OMP_NUM_THREADS ??= '1'

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
  // One more than the cores of a small machine, because many tests wait for programs that they start.
  maxWorkers: 3,
  testTimeout: 300_000
}
