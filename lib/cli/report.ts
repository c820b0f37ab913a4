import type { Command } from 'commander'
import { usage } from './exit.js'
import { addExamples } from './options.js'
import { writeJson } from './output.js'

interface Options {
  out?: string
  data?: string
  device: string
  json?: boolean
}

export function define(command: Command): void {
  command
    .argument('<run>', "a tokenizer's, decoder's or generator's run folder")
    .option('--out <file>', 'the report (default: report.html in the run folder)')
    .option('--data <path>', "images to show the training masks on (default: the run's own); none: no masks")
    .option('--device <name>', 'device of the teacher, for semantic masks: cpu, cuda, cuda:1, mps, or auto', 'auto')
    .option('--json', 'write JSON to standard output')
  addExamples(command, {
    'mactok report runs/tiny': 'write runs/tiny/report.html, which needs no network and no other file',
    'mactok report runs/sit --out sit.html': 'of a generator'
  })
  command.action(async (run: string, { out, data, device, json = false }: Options) => {
    const { writeReport } = await import('../report/report.js')
    const report = await usage(() => writeReport(run, { out, data: data === 'none' ? null : data, device }))
    if (json) return writeJson(report)
    for (const missing of report.missing) process.stderr.write(`Skipped ${missing}\n`)
    process.stdout.write(`${report.file}: ${(report.bytes / 1e6).toFixed(1)} MB\n`)
  })
}
