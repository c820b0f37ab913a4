import { describe, expect, test } from '@jest/globals'
import type { Command } from 'commander'
import { createCompleteProgram } from '../../lib/cli/program.js'
import { describeCommands } from '../../scripts/cli-reference.mjs'

const program = await createCompleteProgram()
const pages = new Map(describeCommands(program).map(({ name, markdown }) => [name, markdown]))

const listActing = (command: Command, words: readonly string[] = []): { name: string; command: Command }[] => [
  ...(command.options.length > 0 && words.length > 0 ? [{ name: words.join('-'), command }] : []),
  ...command.commands.flatMap((child) => listActing(child, [...words, child.name()]))
]

test('the reference has a page for every command, and an index of them', () => {
  const names = listActing(program).map(({ name }) => name)
  expect(names.length).toBeGreaterThan(20)
  expect([...pages.keys()].toSorted()).toEqual(['index', ...names].toSorted())
  for (const name of names) expect(pages.get('index')).toContain(`(${name}.md)`)
})

describe.each(listActing(program))('the page of $name', ({ name, command }) => {
  test('has all options with their descriptions, and examples', () => {
    const page = pages.get(name) ?? ''
    for (const { flags, hidden } of command.options.filter((option) => !option.hidden)) {
      expect([hidden, page]).toEqual([false, expect.stringContaining(`| \`${flags.replaceAll('|', '\\|')}\` | `)])
    }
    expect(page).toMatch(/## Examples\n\n```sh\n# .+\nmactok /)
  })
})
