/** `mactok --help`, in this process: the process's start is counted by whoever starts it. */

process.argv.splice(2, process.argv.length, '--help')
process.stdout.write = () => true
await import('../../dist/cli/main.js')
