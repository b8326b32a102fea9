import * as kernels from '@pavlov/kernels';
import { createEngine, type EngineOptions } from './engine';
import { PrecisionUnavailableError } from './precision';
import { rules } from './rules/table';
import { tf } from './tf';
import { trace } from './trace-backend';

// One machine has one processor; what others say of theirs is put in its place. Nothing is assembled for them here.
jest.mock('@pavlov/kernels', () => {
  const actual = jest.requireActual<typeof kernels>('@pavlov/kernels');
  const { computesBfloat16, vectorExtensions } = actual;
  return { ...actual, computesBfloat16: jest.fn(computesBfloat16), vectorExtensions: jest.fn(vectorExtensions) };
});

const processors = {
  'with AVX512_BF16': [['avx512', 'avx2'], true],
  'with AVX-512': [['avx512', 'avx2'], false],
  'with AVX2': [['avx2'], false],
  'of another kind': [[], false],
} as const satisfies Record<string, readonly [readonly kernels.VectorExtension[], boolean]>;

function pretend(processor: keyof typeof processors): void {
  const [extensions, bfloat16] = processors[processor];
  jest.mocked(kernels.vectorExtensions).mockReturnValue(extensions);
  jest.mocked(kernels.computesBfloat16).mockReturnValue(bfloat16);
}

async function precisionOf(options: EngineOptions): Promise<string> {
  using engine = await createEngine({ threads: 1, ...options });
  return engine.precision;
}

const failure = (options: EngineOptions): Promise<unknown> =>
  precisionOf({ precision: 'bfloat16', ...options }).catch((error: unknown) => error);

describe('the precision of an engine', () => {
  it('is float32 unless told otherwise, on every processor and backend', async () => {
    for (const processor of Object.keys(processors) as (keyof typeof processors)[]) {
      pretend(processor);
      for (const options of [{}, { precision: 'float32' }, { kernels: 'none' }, { backend: 'cpu' }] as const)
        expect(await precisionOf(options)).toBe('float32');
    }
  });

  it('is bfloat16 where that is asked for and the processor has it', async () => {
    pretend('with AVX512_BF16');
    expect(await precisionOf({ precision: 'bfloat16' })).toBe('bfloat16');
    expect(await precisionOf({ precision: 'bfloat16', kernels: 'avx512', binding: 'c-api' })).toBe('bfloat16');
  });

  it.each<[keyof typeof processors, EngineOptions, string]>([
    ['with AVX-512', {}, 'the processor has no AVX512_BF16'],
    ['with AVX2', {}, 'it takes kernels for AVX-512, which this machine cannot run'],
    ['of another kind', {}, 'it takes kernels for AVX-512, which this machine cannot run'],
    ['with AVX512_BF16', { kernels: 'none' }, "it takes kernels for 'avx512', and 'none' was asked for"],
    ['with AVX512_BF16', { kernels: 'avx2' }, "it takes kernels for 'avx512', and 'avx2' was asked for"],
    ['with AVX512_BF16', { binding: 'node' }, 'it takes ONNX Runtime’s C API, which is not what this engine uses'],
    ['with AVX512_BF16', { backend: 'cpu' }, "the backend 'cpu' has float32 only"],
    ['with AVX512_BF16', { backend: 'wasm' }, "the backend 'wasm' has float32 only"],
  ])('is refused, and never replaced, on a processor %s with the options %j', async (processor, options, reason) => {
    pretend(processor);
    const error = await failure(options);
    expect(error).toBeInstanceOf(PrecisionUnavailableError);
    expect(error).toMatchObject({
      precision: 'bfloat16',
      reason,
      message: `An engine cannot compute in bfloat16: ${reason}. Leave \`precision\` out to compute in float32.`,
    });
  });

  it('can be had where the processor says so, and only there', async () => {
    const { computesBfloat16, vectorExtensions } = jest.requireActual<typeof kernels>('@pavlov/kernels');
    jest.mocked(kernels.vectorExtensions).mockImplementation(vectorExtensions);
    jest.mocked(kernels.computesBfloat16).mockImplementation(computesBfloat16);
    const had = await precisionOf({ precision: 'bfloat16' }).catch(() => 'none');
    expect(had).toBe(computesBfloat16() ? 'bfloat16' : 'none');
  });

  it.each(['float32', 'bfloat16'] as const)('is known to the rules while a function is traced: %s', (precision) => {
    const rule = jest.spyOn(rules, 'Neg');
    const source = {
      name: 'test',
      inputs: { x: { shape: [2], dtype: 'float32' } },
      constants: {},
      inPlace: {},
    } as const;
    trace({ ...source, fn: ({ x }) => ({ y: tf.neg(x) }) }, { extension: 'avx512', threads: 1, precision });
    expect(rule.mock.calls.map(([, , builder]) => builder.precision)).toEqual([precision]);
    rule.mockRestore();
  });
});
