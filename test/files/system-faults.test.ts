import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, jest, test } from '@jest/globals'
import { writeText } from '../../lib/files/atomic.js'
import { isAbsence } from '../../lib/files/stat.js'
import { readMetrics } from '../../lib/runs/metrics.js'
import { EventFile } from '../../lib/runs/tensorboard.js'
import { buildShim, withShim } from '../faults/shim.mjs'
import { Workplace } from '../support/images.js'
import { describeWhere } from '../support/paths.js'

const work = new Workplace()
const dist = fileURLToPath(new URL('../../dist/', import.meta.url))
const canBuild = process.platform === 'linux' && spawnSync('cc', ['--version']).status === 0

describeWhere(canBuild, 'faults of the system need Linux and a C compiler', 'with a fault of the system', () => {
  let library: string
  beforeAll(async () => {
    await work.write('some', '')
    library = buildShim(work.path('')) as string
  })

  /** Runs a module with a fault in a folder; returns what it prints, or the last line of its error. */
  function run(folder: string, fault: string, script: string): string {
    mkdirSync(work.path(folder), { recursive: true })
    const { stdout, stderr, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, ...withShim(library, work.path(folder), { fault }) },
      encoding: 'utf8',
      timeout: 20_000
    })
    return signal ?? (stdout || stderr)
  }
  const load = (path: string, names: string) => `import { ${names} } from ${JSON.stringify(`${dist}${path}`)};`

  test.each([
    ['list', 'checkpoints', 'runs/checkpoint.js', 'newestCheckpoint'],
    ['read', 'metrics.jsonl', 'runs/metrics.js', 'readMetrics'],
    ['stat', 'config.json', 'runs/model-folder.js', 'findModel'],
    ['read', 'train.lock', 'runs/lock.js', 'lockRun']
  ])('what cannot be read (%s of %s) is not taken for missing', async (operation, name, module, read) => {
    await work.write('unread/checkpoints/step-0000001/config.json', '{}')
    for (const file of ['metrics.jsonl', 'config.json', 'train.lock']) await work.write(`unread/${file}`, '{}')
    const script = `${load(module, read)}
      await ${read}(${JSON.stringify(work.path('unread'))}, 'tokenizer', false)`
    expect(run('unread', `${operation} ${name} 1+ EIO`, script)).toMatch(/EIO: i\/o error/)
  })

  test('a log whose state cannot be read is not emptied', async () => {
    await work.write('log/metrics.jsonl', '{"step":1}\n')
    const script = `${load('runs/metrics.js', 'MetricsLog')}
      new MetricsLog(${JSON.stringify(work.path('log'))}, 1)`
    run('log', 'stat metrics.jsonl 1+ EIO', script)
    expect(readMetrics(work.path('log'))).toEqual([{ step: 1 }])
  })

  test.each([
    ['write * 1 EDQUOT', 'EDQUOT: the disk quota is exceeded, write'],
    ['rename * 1 ESTALE', 'ESTALE: the file or folder is gone from its server, rename'],
    ['sync .a.txt.* 1 EIO', 'EIO: i/o error, fsync'],
    ['create * 1 EDQUOT', 'Cannot write the folder']
  ])('an error of the system has a name and names the file (%s)', (fault, message) => {
    const file = work.path('named/a.txt')
    const script = `${load('files/atomic.js', 'writeText')}
      await writeText(${JSON.stringify(file)}, 'text').catch((error) => console.log(error.code, error.message))`
    const printed = run('named', fault, script)
    expect(printed).toContain(message)
    expect(printed).toContain(work.path('named'))
    expect(printed).not.toMatch(/Unknown/)
    expect(readdirSync(work.path('named'))).toEqual([])
  })

  test('so has one of a log, which is written synchronously', () => {
    const script = `${load('runs/metrics.js', 'MetricsLog')}
      const log = new MetricsLog(${JSON.stringify(work.path('full'))}, 0)
      try { log.write({ step: 1 }) } catch (error) { console.log(error.code, error.message) }`
    const printed = run('full', 'write metrics.jsonl 1+ EDQUOT', script)
    expect(printed).toBe(`EDQUOT EDQUOT: the disk quota is exceeded, write '${work.path('full/metrics.jsonl')}'\n`)
  })

  test('a line of a log is whole, however little the system writes at a time', () => {
    const script = `${load('runs/metrics.js', 'MetricsLog')}
      const log = new MetricsLog(${JSON.stringify(work.path('slow'))}, 0)
      log.write({ step: 1, loss: { kl: 0.5 } })`
    expect(run('slow', 'write * 1+ short', script)).toBe('')
    expect(readMetrics(work.path('slow'))).toEqual([{ step: 1, loss: { kl: 0.5 } }])
  })

  test('a short read is not taken for the end of a file', async () => {
    const text = 'x'.repeat(100_000)
    const file = await work.write('short/a.txt', text)
    const script = `${load('files/read.js', 'readText')}
      console.log((await readText(${JSON.stringify(file)})).length)`
    expect(run('short', 'read * 1+ short', script)).toBe('100000\n')
  })

  test.each(['read * 1+ short', 'rmdir samples.parts 1+ ENOTEMPTY'])(
    'samples of several processes are merged (%s)',
    (fault) => {
      const script = `${load('generator/sample-parts.js', 'SampleParts')}
      const plan = { key: 'some', total: 1, batch: 1, size: 300 }
      const folder = ${JSON.stringify(work.path('drawn'))}
      const parts = await SampleParts.open(folder + '/samples.parts', plan, { rank: 0, worldSize: 1 })
      await parts.write(0, { images: new Uint8Array(270_000), labels: new Int32Array(1) })
      console.log(await parts.merge(async () => (await parts.read(0)).images.length))`
      expect(run('drawn', fault, script)).toBe('270000\n')
    }
  )

  test('a folder of shards that vanishes before it is complete is not taken for a complete one', () => {
    const script = `${load('latents/index.js', 'openLatentWriter')}
      const plan = { names: ['a', 'b'], labels: [0, 0], shape: [2, 3], dtype: 'float32', moments: false, flips: false }
      const writer = await openLatentWriter(${JSON.stringify(work.path('moved'))}, { ...plan, shardSize: 2, tokenizer: 'x' })
      const shard = writer.startShard(writer.missingShards()[0])
      shard.add({ indices: [0, 1], latents: new Float32Array(12) })
      await shard.commit()
      await writer.finish().then(() => console.log('finished'), ({ message }) => console.log(message))`
    // When the statistics are written: what comes next is written to a new folder.
    expect(run('moved', 'sync . 5 vanish', script)).toMatch(
      /moved was removed or moved while it was written: it has no /
    )
  })

  test('a checkpoint is written where the folder of an older one cannot be removed', () => {
    const script = `${load('runs/checkpoint.js', 'writeCheckpoint')}
      const run = ${JSON.stringify(work.path('held'))}
      for (const step of [1, 2, 3]) {
        const state = { step, samples: step, config: null, versions: {} }
        await writeCheckpoint(run, state, async () => ({}), { keep: 1, keepEvery: null })
      }`
    // As on NFS, while another process has one of its files open.
    expect(run('held', 'rmdir checkpoints/.step-0000001.* 1+ ENOTEMPTY', script)).toBe('')
    expect(readdirSync(work.path('held/checkpoints')).map((name) => name.replace(/[0-9a-f]{12}/, 'x'))).toEqual([
      '.step-0000001.x.old',
      'step-0000003'
    ])
  })

  test('what a killed process left half written is removed, and nothing of those that run', async () => {
    const file = work.path('killed/a.txt')
    const script = `${load('files/atomic.js', 'writeText')}
      await writeText(${JSON.stringify(file)}, 'text')`
    expect(run('killed', 'rename a.txt 1 kill', script)).toBe('SIGKILL')
    const [left = ''] = readdirSync(work.path('killed'))
    expect(left).toMatch(/^\.a\.txt\.[0-9a-f]{8}-\d+-[0-9a-f]{12}\.tmp$/)
    const here = left.slice('.a.txt.'.length, '.a.txt.'.length + 8)
    const another = (place: string) => `.b.txt.${place}-${process.pid}-0123456789ab.tmp`
    for (const name of [here, '00000000', '11111111']) await work.write(`killed/${another(name)}`, 'half')
    const old = Date.now() / 1000 - 90_000
    utimesSync(work.path(`killed/${another('11111111')}`), old, old)
    await writeText(file, 'text')
    expect(readdirSync(work.path('killed')).sort()).toEqual([another(here), another('00000000'), 'a.txt'].sort())
  })
})

test('event files are named in the order of their starts, even where the clock goes back', () => {
  const folder = work.path('clock')
  mkdirSync(folder)
  const now = jest.spyOn(Date, 'now')
  for (const seconds of [2_000_000_000, 1_999_000_000, 2_000_000_000]) {
    now.mockReturnValue(seconds * 1000)
    new EventFile(folder, 0).close()
  }
  now.mockRestore()
  const times = readdirSync(folder).map((name) => Number(name.split('.')[3]))
  expect(times.sort()).toEqual([2_000_000_000, 2_000_000_001, 2_000_000_002])
})

test('absence is what the system says of places where nothing can be', () => {
  const codeOf = (path: string) => {
    try {
      readFileSync(path)
    } catch (error) {
      return isAbsence(error)
    }
  }
  writeFileSync(work.path('file'), '')
  expect([work.path('nothing'), work.path('file/within'), work.path('n'.repeat(300)), 'a\0b'].map(codeOf)).toEqual([
    true,
    true,
    true,
    true
  ])
  expect(codeOf(work.path(''))).toBe(false)
})
