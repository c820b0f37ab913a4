// The entry for `require`, which Node can answer with an ES module since 20.19 and 22.12.
if (!(process.features as { require_module?: boolean }).require_module) {
  throw new Error(
    `mactok is an ES module, which \`require\` cannot load in Node ${process.versions.node}: use \`await import('mactok')\`, or Node 20.19, 22.12 or newer`
  )
}

import mactok = require('./index.js')
export = mactok
