#!/usr/bin/env bash
# Proves the images and the compose file on a real engine: builds, runs a tiny pipeline, restarts, updates and scales single
# services meanwhile, and takes everything down. Without an engine it says so and is content.
set -euo pipefail
cd "$(dirname "$0")/../.."

for command in 'docker version' 'docker compose version'; do
  $command >/dev/null 2>&1 && continue
  echo "docker: skipped, there is no engine to be had (\`$command\` fails)"
  exit 0
done

node --input-type=module --eval "import { ensureDependencies } from './scripts/lib/setup.mjs'; ensureDependencies();"
node_modules/.bin/esbuild tests/docker/main.ts --bundle --platform=node --packages=external --tsconfig=tsconfig.base.json \
  --log-level=warning --outfile=dist/tests/docker.js
exec node dist/tests/docker.js
