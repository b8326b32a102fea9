import * as kernels from '@pavlov/kernels';
import { openEngine, openSamplingEngine } from './engine';

// A machine has bfloat16 or it has not; either is put in its place. Nothing is computed here.
jest.mock('@pavlov/kernels', () => ({
  ...jest.requireActual<typeof kernels>('@pavlov/kernels'),
  vectorExtensions: jest.fn(() => ['avx512', 'avx2']),
  computesBfloat16: jest.fn(),
}));

const pretend = (bfloat16: boolean): unknown => jest.mocked(kernels.computesBfloat16).mockReturnValue(bfloat16);

describe('the engine of a job', () => {
  it('has the threads and the precision that it is asked for', async () => {
    pretend(true);
    for (const precision of ['float32', 'bfloat16'] as const) {
      using engine = await openEngine({ threads: 2, precision });
      expect([engine.threads, engine.precision]).toEqual([2, precision]);
    }
  });

  it('computes in float32 on every machine', async () => {
    pretend(false);
    for (const options of [{}, { precision: 'float32' }] as const) {
      using engine = await openEngine({ threads: 1, ...options });
      expect(engine.precision).toBe('float32');
    }
  });

  it.each([undefined, 'weights'])('says of a machine without bfloat16 what to do (option: %s)', async (field) => {
    pretend(false);
    const error: unknown = await openEngine({ threads: 1, precision: 'bfloat16', field }).catch((reason) => reason);
    expect(error).toMatchObject({
      code: 'PRECISION_UNAVAILABLE',
      retryable: false,
      body: {
        field: field ?? 'precision',
        message: 'The machine that was to run this cannot compute in bfloat16: the processor has no AVX512_BF16.',
        hint: expect.stringContaining(`Leave \`${field ?? 'precision'}\` out to compute in float32`),
      },
    });
  });

  it.each([
    [true, 'float32', 'float32'],
    [true, 'bfloat16', 'bfloat16'],
    [true, 'int8', 'bfloat16'],
    [false, 'float32', 'float32'],
    [false, 'int8', 'float32'],
  ] as const)(
    'samples, where bfloat16 is there (%s), with weights in %s on an engine in %s',
    async (...[has, weights, precision]) => {
      pretend(has);
      using engine = await openSamplingEngine({ threads: 2, weights });
      expect([engine.threads, engine.precision]).toEqual([2, precision]);
    },
  );

  it('refuses to sample in bfloat16 where there is none', async () => {
    pretend(false);
    const failing = openSamplingEngine({ threads: 1, weights: 'bfloat16' });
    await expect(failing).rejects.toMatchObject({ code: 'PRECISION_UNAVAILABLE', body: { field: 'weights' } });
  });

  it('passes on what else is wrong', async () => {
    await expect(openEngine({ threads: 0 })).rejects.toThrow(RangeError);
  });
});
