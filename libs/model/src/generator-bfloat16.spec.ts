import { computesBfloat16 } from '@pavlov/kernels';
import { createEngine, type Engine } from '@pavlov/tensor';
import { createGenerator } from './generator';
import { createScorer } from './scorer';
import { samplingOf, shakenParameters, smallConfig } from './spec-support';

const config = smallConfig;
const parameters = shakenParameters(config, 'lm', 3);
const room = { maxPromptTokens: 6, maxNewTokens: 10 };
const sampling = samplingOf(parameters);
const { prompts } = sampling;

const engines: Engine[] = [];
afterAll(() => engines.forEach((engine) => engine.dispose()));
const engineIn = async (precision: 'float32' | 'bfloat16', threads = 1): Promise<Engine> => {
  engines.push(await createEngine({ threads, precision }));
  return engines.at(-1)!;
};

async function logprobsOf(engine: Engine, responses: readonly number[][]): Promise<Float32Array[]> {
  const scorer = await createScorer(engine, { config, batch: 4, length: config.contextLength });
  const sequences = responses.map((response, row) => [...prompts[row], ...response]);
  const from = prompts.map((prompt) => prompt.length);
  return scorer.logprobs({ parameters, sequences, from, temperature: sampling.temperature });
}

const meanDifference = (some: readonly Float32Array[], others: readonly Float32Array[]): number => {
  const differences = some.flatMap((row, i) => [...row].map((value, j) => Math.abs(value - others[i][j])));
  return differences.reduce((sum, one) => sum + one, 0) / differences.length;
};

const sampledOn = async (engine: Engine, batch: number) =>
  (await createGenerator(engine, { config, batch, ...room })).generate(sampling);

describe('createGenerator in bfloat16', () => {
  if (!computesBfloat16()) return it.skip('this machine has no bfloat16', () => {});

  it('decodes with a cache to nearly the log-probs of the full forward pass, in either precision', async () => {
    const engine = await engineIn('bfloat16');
    const { responses, logprobs } = await sampledOn(engine, 4);
    const inBfloat16 = meanDifference(logprobs, await logprobsOf(engine, responses));
    const inFloat32 = meanDifference(logprobs, await logprobsOf(await engineIn('float32'), responses));
    // Numbers of up to about 4 with 8 bits: each is off by some 2⁻⁷. A wrong key or value would cost whole nats.
    expect(inBfloat16).toBeLessThan(2 ** -6);
    expect(inFloat32).toBeLessThan(2 ** -6);
    expect(inFloat32).toBeGreaterThan(0);
  });

  it('gives each row the same sample whatever the batch around it, on any number of threads', async () => {
    const together = await sampledOn(await engineIn('bfloat16'), 5);
    for (const [batch, threads] of [
      [1, 1],
      [2, 2],
      [8, 2],
    ])
      expect(await sampledOn(await engineIn('bfloat16', threads), batch)).toMatchObject({
        responses: together.responses,
        logprobs: together.logprobs,
      });
  });
});
