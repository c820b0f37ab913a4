// The entry for `require`, which Node can answer with an ES module since 20.19 and 22.12.
if (!(process.features as { require_module?: boolean }).require_module) {
  throw new Error(
    `mactok is an ES module, which \`require\` cannot load in Node ${process.versions.node}: use \`await import('mactok')\`, or Node 20.19, 22.12 or newer`
  )
}
// Before Node 22, what an ES module that is required imports is not looked for in Yarn's Plug'n'Play.
if ('pnp' in process.versions && Number.parseInt(process.versions.node, 10) < 22) {
  throw new Error(
    `Node ${process.versions.node} cannot \`require\` mactok under Yarn's Plug'n'Play: use \`await import('mactok')\`, or Node 22 or newer`
  )
}

import mactok = require('./index.js')
export = mactok
