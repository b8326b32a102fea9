import { randomStream } from '@pavlov/random';
import { installMatchers, tolerances } from '@pavlov/testing';
import { conformanceCases, type ConformanceCase } from './conformance.cases';
import { createEngine, type Engine } from './engine';
import type { KernelName } from './rules/kernels';
import { rules } from './rules/table';
import { allocate, type Signature, type TypedArray } from './signature';
import { tf } from './tf';

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
  return { outputs: compiled.outputs, results };
}

const names = Object.keys(rules) as KernelName[];
const table = names.flatMap((kernel) => conformanceCases[kernel].map((testCase, i) => ({ kernel, i, testCase })));

describe('every kernel rule agrees with the tfjs CPU backend', () => {
  let onnx: Engine;
  let cpu: Engine;
  beforeAll(async () => {
    onnx = await createEngine({ threads: 2 });
    cpu = await createEngine({ backend: 'cpu' });
  });
  afterAll(() => {
    onnx.dispose();
    cpu.dispose();
  });

  it.each(names)('%s has a case that uses it', async (kernel) => {
    const used = jest.spyOn(rules, kernel as 'Add');
    for (const testCase of conformanceCases[kernel]) await onnx.compile(named(testCase), testCase.inputs);
    expect(used).toHaveBeenCalled();
    used.mockRestore();
  });

  it.each(table)('$kernel, case $i', async ({ kernel, i, testCase }) => {
    const purpose = `${kernel}/${i}`;
    const actual = await compute(onnx, testCase, purpose);
    const expected = await compute(cpu, testCase, purpose);
    expect(actual.outputs).toEqual(expected.outputs);
    const tolerance = kernel.startsWith('Pavlov') ? tolerances.composed : tolerances.kernel;
    for (const name of Object.keys(expected.outputs))
      expect(actual.results[name]).toBeAllClose(expected.results[name], tolerance);
  });
});
