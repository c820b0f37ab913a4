import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import type { Command } from 'commander'
import { createCompleteProgram } from '../../lib/cli/program.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

const listCommands = (command: Command): Command[] => [command, ...command.commands.flatMap(listCommands)]

/** Every flag of every command. */
async function listFlags(): Promise<Set<string>> {
  const options = listCommands(await createCompleteProgram()).flatMap((command) => [...command.options])
  return new Set(['--help', ...options.flatMap(({ long }) => long ?? [])])
}

/** Flags in lines of code that call mactok, and those that prose names. */
function listMentioned(page: string): string[] {
  const text = readFileSync(join(root, page), 'utf8')
  const calls = [...text.matchAll(/^(?:npx )?mactok .*(?:\\\n.*)*|^recipe=.*/gm)].map(([call]) =>
    call.replace(/\s#.*$/gm, '')
  )
  const spans = [...text.matchAll(/`(?:mactok )?[^`\n]*--[^`\n]*`/g)].map(([span]) => span)
  const ours = spans.filter((span) => !/npm |node |tensorboard/.test(span))
  return [...calls, ...ours].flatMap((code) => code.match(/--[a-z][\w.-]*/gi) ?? [])
}

test.each(['README.md', 'docs/guide.md', 'docs/results.md'])('%s names flags that exist', async (page) => {
  const flags = await listFlags()
  const mentioned = listMentioned(page)
  expect(mentioned.length).toBeGreaterThan(5)
  expect([...new Set(mentioned)].filter((flag) => !flags.has(flag))).toEqual([])
})
