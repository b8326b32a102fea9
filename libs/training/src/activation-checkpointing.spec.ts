import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { vectorExtensions } from '@pavlov/kernels';
import { createResidualDropout, initParameters } from '@pavlov/model';
import { createEngine } from '@pavlov/tensor';
import { bundle } from '@pavlov/testing';
import { type StepsMemoryOptions } from './fixtures/steps-memory';
import { createLearner } from './learner';
import { compileLmStep } from './lm-step';
import { optimiser } from './spec-support';

const everyKernels = ['none', ...vectorExtensions()] as const;

describe.each(everyKernels)('with activation checkpointing and kernels "%s"', (kernels) => {
  const model = { vocabSize: 50, contextLength: 24, layers: 3, heads: 2, width: 32, padId: 1 };
  const grid = { rows: 4, columns: 24 };
  const count = grid.rows * grid.columns;
  const parameters = initParameters(model, 'lm', 1);
  const batch = {
    tokens: Int32Array.from({ length: count }, (_, index) => 2 + ((index * 7) % 48)),
    targets: Int32Array.from({ length: count }, (_, index) => 2 + ((index * 11) % 48)),
    mask: new Float32Array(count).fill(1),
  };
  const dropout = createResidualDropout({ config: model, ...grid, rate: 0.2, seed: 1, purpose: 'spec' });

  it.each([{ dropout: undefined }, { dropout }])(
    'a step is the same to the last bit ($dropout.spec.dtype)',
    async ({ dropout }) => {
      const stepOf = async (activationCheckpointing: boolean) => {
        using engine = await createEngine({ kernels, threads: 2 });
        const learner = createLearner(parameters, optimiser);
        const step = compileLmStep(engine, { model, ...grid, dropout, activationCheckpointing });
        const { loss } = await step.gradients(learner, batch, dropout?.masksAt(0));
        return { loss, gradients: learner.gradients.data };
      };
      const plain = await stepOf(false);
      expect(await stepOf(true)).toEqual(plain);
      expect(Math.max(...plain.gradients)).toBeGreaterThan(1e-3);
    },
  );
});

/** Of each token, a block keeps about 17 C numbers, C being the width; checkpointed, C. Weights, and code, are in both. */
(process.platform === 'linux' ? describe : describe.skip).each(everyKernels.slice(0, 2))(
  'with kernels "%s"',
  (kernels) => {
    it('more layers take hardly more memory', async () => {
      const compiled = await bundle(join(__dirname, 'fixtures', 'steps-memory.ts'));
      const peak = (options: Omit<StepsMemoryOptions, 'kernels'>): number =>
        Number(
          execFileSync(process.execPath, [
            join(compiled.folder, 'steps-memory.js'),
            JSON.stringify({ ...options, kernels }),
          ]),
        );
      const growth = (activationCheckpointing: boolean): number =>
        peak({ layers: 9, activationCheckpointing }) - peak({ layers: 3, activationCheckpointing });
      try {
        expect(growth(true)).toBeLessThan(growth(false) / 4);
      } finally {
        await compiled.remove();
      }
    });
  },
);
