import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const forbidden = [
  ['libs/algorithms/src/x.ts', `import { Queue } from 'bullmq';\nexport const q = Queue;\n`],
  ['libs/model/src/x.ts', `import express from 'express';\nexport const e = express;\n`],
  [
    'libs/kernels/src/x.ts',
    `import { InferenceSession } from 'onnxruntime-node';\nexport const s = InferenceSession;\n`,
  ],
  ['libs/kernels/src/x.ts', `import { tf } from '@pavlov/tensor';\nexport const t = tf;\n`],
  ['libs/tensor/src/x.ts', `import pino from 'pino';\nexport const p = pino;\n`],
  [
    'libs/checkpoint-store/src/x.ts',
    `import { createEngine } from '@pavlov/tensor';\nexport const c = createEngine;\n`,
  ],
  ['libs/contracts/src/x.ts', `import { openStore } from '@pavlov/checkpoint-store';\nexport const o = openStore;\n`],
  ['libs/rewards/src/x.ts', `import { Redis } from 'ioredis';\nexport const r = Redis;\n`],
  ['apps/gateway/src/x.ts', `import { createEngine } from '@pavlov/tensor';\nexport const c = createEngine;\n`],
  ['apps/gateway/src/x.ts', `import { train } from '../../ppo/src/train';\nexport const t = train;\n`],
  ['apps/ppo/src/x.ts', `import express from 'express';\nexport const e = express;\n`],
];
const allowed = [
  ['libs/model/src/x.ts', `import { PavlovError } from '@pavlov/contracts';\nexport const p = PavlovError;\n`],
  ['apps/gateway/src/x.ts', `import { PavlovError } from '@pavlov/contracts';\nexport const p = PavlovError;\n`],
  ['apps/ppo/src/x.ts', `import { openReward } from '@pavlov/rewards';\nexport const o = openReward;\n`],
  ['libs/datasets/src/x.ts', `import { randomStream } from '@pavlov/random';\nexport const r = randomStream;\n`],
];

describe('module boundaries', () => {
  const script = join(__dirname, 'lint-cases.mjs');
  const lint = (cases: string[][]): string[][] =>
    JSON.parse(
      execFileSync(process.execPath, [script], {
        input: JSON.stringify(cases),
        encoding: 'utf8',
        env: { ...process.env, NX_DAEMON: 'false' },
      }),
    );

  it('refuses every forbidden import and lets the allowed ones pass', () => {
    const messages = lint([...forbidden, ...allowed]);
    const refused = [...forbidden, ...allowed].filter((_, index) => messages[index].length > 0);
    expect(refused).toEqual(forbidden);
  });
});
