import { vectorExtensions } from '@pavlov/kernels';
import { randomStream } from '@pavlov/random';
import { installMatchers, tolerances } from '@pavlov/testing';
import { type ConformanceCase, conformanceCases } from './conformance.cases';
import { createEngine, type Engine } from './engine';
import type { KernelName } from './rules/kernels';
import { rules } from './rules/table';
import { allocate, type Signature, type TypedArray } from './signature';
import type { tf } from './tf';

installMatchers();

/** Reproducible inputs of a case. */
function feedsOf({ inputs, range = [-3, 3] }: ConformanceCase, purpose: string): Record<string, TypedArray> {
  const random = randomStream(1, purpose);
  const [low, high] = range;
  return Object.fromEntries(
    Object.entries(inputs).map(([name, spec]) => {
      const array = allocate(spec);
      const draw = () => low + (high - low) * random.uniform();
      array.forEach((_, i) => (array[i] = spec.dtype === 'int32' ? Math.floor(draw()) : draw()));
      return [name, array];
    }),
  );
}

const named =
  ({ fn }: ConformanceCase) =>
  (inputs: Record<string, tf.Tensor>): Record<string, tf.Tensor> => {
    const results = fn(inputs);
    return Object.fromEntries((Array.isArray(results) ? results : [results]).map((tensor, i) => [String(i), tensor]));
  };

async function compute(
  engine: Engine,
  testCase: ConformanceCase,
  purpose: string,
): Promise<{ outputs: Signature; results: Record<string, TypedArray> }> {
  const compiled = await engine.compile(named(testCase), testCase.inputs);
  const results = await compiled.run(feedsOf(testCase, purpose));
  compiled.dispose();
  return { outputs: compiled.outputs, results };
}

/** Rules that only graphs with kernels of our own use, and those that such graphs do without. */
const onlyWithKernels: ReadonlySet<string> = new Set([
  'PavlovEntropy',
  'PavlovEntropyGradient',
  'PavlovFillCache',
  'PavlovGeluGradient',
  'PavlovLayerNormGradient',
  'PavlovLinearGradient',
  'PavlovLinearPanels',
  'PavlovPackMatrix',
  'PavlovSample',
  'PavlovSelfAttention',
  'PavlovSelfAttentionGradient',
  'PavlovStepAttention',
  'PavlovTokenLogprobs',
  'PavlovTokenLogprobsGradient',
]);
const onlyWithout: ReadonlySet<string> = new Set([
  'PavlovAddAt',
  'PavlovCachedAttention',
  'PavlovLinearInt8',
  'PavlovLogSoftmax',
  'PavlovTakeLast',
]);

describe.each(['none', ...vectorExtensions()] as const)(
  'with kernels "%s", rules agree with tfjs on the CPU',
  (kernels) => {
    let onnx: Engine;
    let cpu: Engine;
    beforeAll(async () => {
      onnx = await createEngine({ threads: 2, kernels });
      cpu = await createEngine({ backend: 'cpu' });
    });
    afterAll(() => {
      onnx.dispose();
      cpu.dispose();
    });

    it.each(Object.keys(rules) as KernelName[])('%s', async (kernel) => {
      const rule = jest.spyOn(rules, kernel as 'Add');
      const tolerance = kernel.startsWith('Pavlov') ? tolerances.composed : tolerances.kernel;
      for (const [i, testCase] of conformanceCases[kernel].entries()) {
        const purpose = `${kernel}/${i}`;
        const actual = await compute(onnx, testCase, purpose);
        const expected = await compute(cpu, testCase, purpose);
        expect(actual.outputs).toEqual(expected.outputs);
        for (const name of Object.keys(expected.outputs)) {
          expect(actual.results[name]).toBeAllClose(expected.results[name], tolerance);
        }
      }
      if (!(kernels === 'none' ? onlyWithKernels : onlyWithout).has(kernel)) expect(rule).toHaveBeenCalled();
      rule.mockRestore();
    });
  },
);
