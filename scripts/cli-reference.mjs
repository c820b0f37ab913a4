// The reference of the command line, from the definitions that commander itself parses by.

/** @typedef {import('commander').Command} Command */

/**
 * Describes all commands, a page each.
 * @param {Command} program with the options of all its commands
 * @returns {{ name: string, title: string, markdown: string }[]} `name` is the page's file, without `.md`
 */
export function describeCommands(program) {
  const commands = listCommands(program, [])
  const rows = commands.map(
    ({ words, command }) => `| [\`mactok ${words.join(' ')}\`](${words.join('-')}.md) | ${command.summary()} |`
  )
  const index = [
    '# Command line',
    'Generated from the commands themselves; `mactok <command> --help` prints the same.',
    ['| command | |', '| --- | --- |', ...rows].join('\n'),
    'Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted after a checkpoint.'
  ]
  return [
    { name: 'index', title: 'Overview', markdown: `${index.join('\n\n')}\n` },
    ...commands.map(({ words, command }) => ({
      name: words.join('-'),
      title: words.join(' '),
      markdown: describeCommand(words, command)
    }))
  ]
}

/**
 * The commands that do something, in the order of `--help`.
 * @param {Command} command @param {string[]} words
 * @returns {{ words: string[], command: Command }[]}
 */
function listCommands(command, words) {
  const children = command.commands.flatMap((child) => listCommands(child, [...words, child.name()]))
  const isGroup = words.length === 0 || (command.commands.length > 0 && command.options.length === 0)
  return isGroup ? children : [{ words, command }, ...children]
}

/** @param {readonly string[]} words @param {Command} command */
function describeCommand(words, command) {
  const help = command.createHelp()
  const usage = help.commandUsage(command)
  const options = help.visibleOptions(command)
  const parts = [`# mactok ${words.join(' ')}`, escapeHtml(command.description()), fence('text', usage)]
  const args = help.visibleArguments(command)
  if (args.length > 0) {
    parts.push(
      '## Arguments',
      table(args.map((argument) => [`\`${help.argumentTerm(argument)}\``, help.argumentDescription(argument)]))
    )
  }
  /** @param {typeof options} members */
  const describe = (members) =>
    table(members.map((option) => [`\`${help.optionTerm(option)}\``, help.optionDescription(option)]))
  // Settings of one group, such as `--masking.max`, stand together.
  /** @param {(typeof options)[number]} option */
  const groupOf = ({ long }) => /^--([a-z-]+)\./.exec(long ?? '')?.[1] ?? ''
  for (const group of new Set(options.map(groupOf))) {
    const members = options.filter((option) => groupOf(option) === group)
    parts.push(group ? `## \`--${group}.…\`` : '## Options', describe(members))
  }
  const examples = listExamples(command)
  if (examples) parts.push('## Examples', fence('sh', examples))
  return `${parts.join('\n\n')}\n`
}

/**
 * The examples that the command adds below its help, as lines of a shell with comments above them.
 * @param {Command} command
 */
function listExamples(command) {
  /** @type {string[]} */
  const written = []
  command.configureOutput({ writeOut: (text) => void written.push(text) }).outputHelp()
  const [, examples = ''] = written.join('').split('\nExamples:\n')
  return [...examples.matchAll(/^ {2}\$ (.*)\n {6}(.*)$/gm)].map(([, line, what]) => `# ${what}\n${line}`).join('\n\n')
}

/** @param {readonly (readonly [string, string])[]} rows */
const table = (rows) =>
  [
    '| | |',
    '| --- | --- |',
    ...rows.map(([term, what]) => `| ${escapeCell(term)} | ${escapeCell(escapeHtml(what))} |`)
  ].join('\n')

/** @param {string} text */
const escapeCell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

/** @param {string} text */
const escapeHtml = (text) => text.replaceAll('<', '&lt;')

/** @param {string} language @param {string} text */
const fence = (language, text) => `\`\`\`${language}\n${text}\n\`\`\``
