#!/usr/bin/env bash
# Proves that checkpoints of ours open in transformers and that directories of transformers open here; see ../README.md.
set -euo pipefail
cd "$(dirname "$0")/../../.."

node --input-type=module --eval "import { ensureDependencies } from './scripts/lib/setup.mjs'; ensureDependencies();"
node_modules/.bin/esbuild tests/golden/interop/main.ts --bundle --platform=node --target=node20 \
  --packages=external --tsconfig=tsconfig.base.json \
  --log-level=warning --outfile=dist/tests/interop.js
exec node dist/tests/interop.js "$@"
