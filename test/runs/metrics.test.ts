import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { crc32c } from '../../lib/native/checksums.js'
import { MetricsLog, readMetrics } from '../../lib/runs/metrics.js'

let run: string
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), 'mactok-metrics-'))
})
afterEach(() => rmSync(run, { recursive: true }))

describe('metrics.jsonl', () => {
  test('has one line per record', () => {
    const log = new MetricsLog(run, 0)
    log.write({ step: 1, loss: { total: 2.5, kl: 3 }, psnr: 10 })
    log.write({ step: 2, loss: { total: 1.5, kl: 4 }, psnr: 11 })
    log.close()
    expect(readFileSync(join(run, 'metrics.jsonl'), 'utf8')).toBe(
      '{"step":1,"loss":{"total":2.5,"kl":3},"psnr":10}\n{"step":2,"loss":{"total":1.5,"kl":4},"psnr":11}\n'
    )
  })

  test('is cut at the checkpoint that a run resumes from, and a line that a crash cut short is skipped', () => {
    const first = new MetricsLog(run, 0)
    for (const step of [1, 2, 3, 4]) first.write({ step, psnr: step })
    first.close()
    appendFileSync(join(run, 'metrics.jsonl'), '{"step":5,"ps')
    expect(readMetrics(run).map(({ step }) => step)).toEqual([1, 2, 3, 4])
    const second = new MetricsLog(run, 2)
    second.write({ step: 3, psnr: 33 })
    second.close()
    expect(readMetrics(run)).toEqual([
      { step: 1, psnr: 1 },
      { step: 2, psnr: 2 },
      { step: 3, psnr: 33 }
    ])
  })

  test.each(['metrics.jsonl.tmp', 'metrics.jsonl'])('is not written through a link %s', (name) => {
    const elsewhere = join(run, 'elsewhere')
    writeFileSync(elsewhere, 'not ours')
    symlinkSync(elsewhere, join(run, name))
    const log = new MetricsLog(run, 0)
    log.write({ step: 1 })
    log.close()
    expect(readFileSync(elsewhere, 'utf8')).toBe('not ours')
    expect(readMetrics(run)).toEqual([{ step: 1 }])
  })

  test('skips what is no record', () => {
    appendFileSync(join(run, 'metrics.jsonl'), '{"step":1,"psnr":1}\nnull\n[]\n3\n{}\n{"step":2,"psnr":null}\n')
    expect(readMetrics(run)).toEqual([
      { step: 1, psnr: 1 },
      { step: 2, psnr: null }
    ])
    new MetricsLog(run, 1).close()
    expect(readFileSync(join(run, 'metrics.jsonl'), 'utf8')).toBe('{"step":1,"psnr":1}\n')
  })

  test('is empty for a folder without one', () => expect(readMetrics(run)).toEqual([]))
})

/** The records of a TFRecord file, their checksums checked. */
function records(file: Buffer): Buffer[] {
  const unmask = (value: number) => {
    const rotated = (value - 0xa282ead8) >>> 0
    return ((rotated >>> 17) | (rotated << 15)) >>> 0
  }
  const found: Buffer[] = []
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at))
    const data = file.subarray(at + 12, at + 12 + length)
    expect(unmask(file.readUInt32LE(at + 8))).toBe(crc32c(file.subarray(at, at + 8)))
    expect(unmask(file.readUInt32LE(at + 12 + length))).toBe(crc32c(data))
    found.push(data)
    at += 16 + length
  }
  return found
}

describe('event file', () => {
  const events = () => {
    const name = readdirSync(run).find((file) => file.startsWith('events.out.tfevents.')) as string
    return records(readFileSync(join(run, name)))
  }

  test('names its version, then holds the scalars of each step', () => {
    const log = new MetricsLog(run, 0)
    log.write({ step: 300, loss: { kl: 1.5 } })
    log.close()
    const [version, scalars] = events() as [Buffer, Buffer]
    expect(version.subarray(11).toString('latin1')).toBe('\x1a\x0dbrain.Event:2')
    // Event { 2: step 300, 5: Summary { 1: Value { 1: tag, 2: float 1.5 } } }, after the 9 bytes of the wall time
    const value = Buffer.concat([Buffer.from('\x0a\x07loss/kl\x15', 'latin1'), Buffer.from([0, 0, 0xc0, 0x3f])])
    expect(scalars.subarray(9)).toEqual(
      Buffer.concat([Buffer.from([0x10, 0xac, 0x02, 0x2a, value.length + 2, 0x0a, value.length]), value])
    )
  })

  test('makes TensorBoard ignore the steps past the checkpoint that a run resumes from', () => {
    new MetricsLog(run, 200).close()
    // Event { 2: step 201, 7: SessionLog { 1: START } }
    expect(events()[1]?.subarray(9)).toEqual(Buffer.from([0x10, 0xc9, 0x01, 0x3a, 0x02, 0x08, 0x01]))
  })
})
