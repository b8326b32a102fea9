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

(process.platform === 'linux' ? describe : describe.skip)('checkpointed', () => {
  let compiled: Awaited<ReturnType<typeof bundle>>;
  beforeAll(async () => {
    compiled = await bundle(join(__dirname, 'fixtures', 'steps-memory.ts'));
  });
  afterAll(() => compiled.remove());

  const peak = (options: StepsMemoryOptions): number =>
    Number(execFileSync(process.execPath, [join(compiled.folder, 'steps-memory.js'), JSON.stringify(options)]));
  type Size = Pick<StepsMemoryOptions, 'layers' | 'vocabSize'>;
  const growth = (
    options: Omit<StepsMemoryOptions, keyof Size>,
    [from, to]: readonly [small: Size, large: Size],
  ): number => peak({ ...options, ...to }) - peak({ ...options, ...from });

  /** Of each token, a block keeps about 17 C numbers, C being the width; checkpointed, C. Weights, and code, are in both. */
  it.each(everyKernels.slice(0, 2))('more layers take hardly more memory, with kernels "%s"', (kernels) => {
    const layers = [3, 9].map((layers) => ({ layers, vocabSize: 32 })) as [Size, Size];
    const grown = (activationCheckpointing: boolean): number => growth({ kernels, activationCheckpointing }, layers);
    expect(grown(true)).toBeLessThan(grown(false) / 4);
  });

  /** Logits take 4 V bytes a token, a 16th of that in parts. The weights of a token, 16 C. */
  it.each(vectorExtensions())('more words take hardly more memory, with kernels "%s"', (kernels) => {
    const words = [32, 8192].map((vocabSize) => ({ layers: 1, vocabSize })) as [Size, Size];
    const grown = (activationCheckpointing: boolean): number => growth({ kernels, activationCheckpointing }, words);
    expect(grown(true)).toBeLessThan(grown(false) / 4);
  });
});
