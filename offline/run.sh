#!/bin/sh
# Builds mactok here without a network, tests it, measures it beside PyTorch and writes report/gpu-report.md: see README.md.
set -eu
cd "$(dirname "$0")"
exec bin/node offline/run.mjs "$@"
