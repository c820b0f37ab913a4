import type { Command } from 'commander'
import { addExamples, usage, writeJson } from './context.js'

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
    .option('--data <path>', "images to show the masks of training on (default: the run's own); none leaves them out")
    .option('--device <name>', 'of the teacher that finds what matters: cpu, cuda, cuda:1, or auto', 'auto')
    .option('--json', 'write JSON to standard output')
  addExamples(command, {
    'mactok report runs/tiny': 'runs/tiny/report.html, which needs no network and no other file',
    'mactok report runs/sit --out sit.html': 'a generator'
  })
  command.action(async (run: string, { out, data, device, json = false }: Options) => {
    const { writeReport } = await import('../report/report.js')
    const report = await usage(() => writeReport(run, { out, data: data === 'none' ? null : data, device }))
    if (json) return writeJson(report)
    for (const missing of report.missing) process.stderr.write(`Left out ${missing}\n`)
    process.stdout.write(`${report.file}: ${(report.bytes / 1e6).toFixed(1)} MB\n`)
  })
}
