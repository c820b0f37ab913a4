/** `mactok --help`, in this process; whoever starts it also measures its start. */

process.argv.splice(2, process.argv.length, '--help')
process.stdout.write = () => true
await import('../../dist/cli/main.js')
