import { copyParameters, createEngine, type Engine, type Parameters } from '@pavlov/tensor';
import { installMatchers, tolerances } from '@pavlov/testing';
import type { TransformerConfig } from './config';
import { createGenerator, type GenerateOptions } from './generator';
import { createScorer } from './scorer';
import { randomSequences, samplingOf, shakenParameters, smallConfig } from './spec-support';

installMatchers();

const config = smallConfig;
const parameters = shakenParameters(config, 'lm', 3);
const room = { maxPromptTokens: 6, maxNewTokens: 10 };
const sampling = samplingOf(parameters);
const { prompts } = sampling;

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ threads: 1 });
});
afterAll(() => engine.dispose());

const generatorOf = (batch: number, model: TransformerConfig = config) =>
  createGenerator(engine, { config: model, batch, ...room });

/** Log-probs of responses by one full forward pass. */
async function rescore(
  responses: readonly number[][],
  { temperature = 1, weights = parameters }: { temperature?: number; weights?: Parameters },
) {
  const scorer = await createScorer(engine, { config, batch: 4, length: config.contextLength });
  const sequences = responses.map((response, row) => [...prompts[row], ...response]);
  return scorer.logprobs({ parameters: weights, sequences, from: prompts.map((prompt) => prompt.length), temperature });
}

function mostFrequent(ids: readonly number[]): number {
  const count = (id: number): number => ids.filter((other) => other === id).length;
  return ids.reduce((best, id) => (count(id) > count(best) ? id : best));
}

describe('createGenerator', () => {
  it('decodes with a cache to the log-probs of the full forward pass', async () => {
    const { responses, logprobs, tokens } = await (await generatorOf(4)).generate(sampling);
    expect(responses.map((response) => response.length)).toEqual([10, 10, 10, 10, 10]);
    expect(tokens).toBe(50);
    const expected = await rescore(responses, { temperature: sampling.temperature });
    logprobs.forEach((row, index) => expect(row).toBeAllClose(expected[index], tolerances.logprob));
  });

  it('gives each row the same sample whatever the batch around it', async () => {
    const together = await (await generatorOf(5)).generate(sampling);
    for (const batch of [1, 2, 8]) {
      const apart = await (await generatorOf(batch)).generate(sampling);
      expect(apart.responses).toEqual(together.responses);
      apart.logprobs.forEach((row, index) => expect(row).toBeAllClose(together.logprobs[index], tolerances.logprob));
    }
    const first = await (await generatorOf(5)).generate({ ...sampling, prompts: prompts.slice(0, 2) });
    expect(first.responses).toEqual(together.responses.slice(0, 2));
  });

  it('is a function of seed, purpose and step', async () => {
    const generator = await generatorOf(5);
    const sample = async (change: Partial<GenerateOptions>) =>
      (await generator.generate({ ...sampling, ...change })).responses;
    const original = await sample({});
    expect(await sample({})).toEqual(original);
    for (const change of [{ seed: 12 }, { purpose: 'other' }, { step: 3 }])
      expect(await sample(change)).not.toEqual(original);
  });

  it.each([32, 8])('gives the same bytes on any number of threads, in %d bits', async (bits) => {
    // Large enough for a step to be shared among threads.
    const large = { vocabSize: 2048, contextLength: 12, layers: 2, heads: 4, width: 256, padId: 1 };
    const weights = shakenParameters(large, 'lm', 3);
    const many = randomSequences(Array(70).fill(4) as number[], large.vocabSize, 9);
    const shape = { config: large, batch: 64, maxPromptTokens: 4, maxNewTokens: 4 };
    const [first, second] = await Promise.all(
      [1, 2].map(async (threads) => {
        using shared = await createEngine({ threads });
        const generator = await createGenerator(shared, bits === 8 ? { ...shape, int8: weights } : shape);
        return await generator.generate({ ...sampling, parameters: weights, prompts: many });
      }),
    );
    expect(second).toEqual(first);
  });

  it('reads the weights as they are when it is called', async () => {
    const generator = await generatorOf(5);
    const changing = copyParameters(parameters);
    const before = await generator.generate({ ...sampling, parameters: changing });
    for (const view of Object.values(changing.views)) view.forEach((value, i) => (view[i] = 0.9 * value));
    const after = await generator.generate({ ...sampling, parameters: changing });
    expect(after.responses).not.toEqual(before.responses);
    const expected = await rescore(after.responses, { temperature: sampling.temperature, weights: changing });
    after.logprobs.forEach((row, index) => expect(row).toBeAllClose(expected[index], tolerances.logprob));
  });

  it('is greedy at temperature 0', async () => {
    const generator = await generatorOf(5);
    const { responses, logprobs } = await generator.generate({ ...sampling, temperature: 0 });
    expect((await generator.generate({ ...sampling, temperature: 0, seed: 99 })).responses).toEqual(responses);
    // No other token is more probable at any step.
    const scorer = await createScorer(engine, { config, batch: 40, length: config.contextLength });
    for (const length of [0, 4, 9]) {
      const rivals = Array.from({ length: config.vocabSize }, (_, id) => [
        ...prompts[0],
        ...responses[0].slice(0, length),
        id,
      ]);
      const scores = await scorer.logprobs({
        parameters,
        sequences: rivals,
        from: rivals.map((rival) => rival.length - 1),
        temperature: 1,
      });
      const best = scores.findIndex(([score]) => score === Math.max(...scores.map(([other]) => other)));
      expect(responses[0][length]).toBe(best);
      expect(logprobs[0].subarray(length, length + 1)).toBeAllClose(scores[best], tolerances.logprob);
    }
  });

  it('ends a response with its first EOS, or goes on if told so', async () => {
    const generator = await generatorOf(5);
    const endless = await generator.generate(sampling);
    // Any token can play EOS; this one occurs in the middle of the first response.
    const eosId = endless.responses[0][4];
    const { responses, logprobs, finished, tokens } = await generator.generate({ ...sampling, eosId, stopAtEos: true });
    endless.responses.forEach((response, row) => {
      const end = response.indexOf(eosId);
      expect(responses[row]).toEqual(end === -1 ? response : response.slice(0, end + 1));
      expect(finished[row]).toBe(end !== -1);
      expect(logprobs[row]).toHaveLength(responses[row].length);
    });
    expect(finished).toContain(true);
    expect(finished).toContain(false);
    expect(tokens).toBe(responses.flat().length);
    expect((await generator.generate({ ...sampling, eosId })).finished).toEqual(finished);
  });

  describe('with answers that end early', () => {
    const many = randomSequences(
      Array.from({ length: 150 }, (_, index) => 1 + (index % 6)),
      config.vocabSize,
      9,
    );
    const rooms = { config, maxPromptTokens: 6, maxNewTokens: 40 };
    const wide = { ...config, contextLength: 46 };
    const weights = shakenParameters(wide, 'lm', 3);
    const generate = async (batch: number) => {
      const generator = await createGenerator(engine, { ...rooms, config: wide, batch });
      const { responses } = await generator.generate({ ...sampling, parameters: weights, prompts: many.slice(0, 20) });
      const eosId = mostFrequent(responses.flat()); // any token can play EOS
      return generator.generate({ ...sampling, parameters: weights, prompts: many, eosId, stopAtEos: true });
    };

    it('gives every prompt its answer, whoever waits and whoever leaves', async () => {
      const together = await generate(150); // shrinks to 75 and 38 rows
      expect(new Set(together.responses.map((response) => response.length)).size).toBeGreaterThan(10);
      for (const batch of [1, 7, 64]) {
        const apart = await generate(batch); // admits 1, 1 and 16 prompts at a time
        expect(apart.responses).toEqual(together.responses);
        expect(apart.finished).toEqual(together.finished);
        apart.logprobs.forEach((row, index) => expect(row).toBeAllClose(together.logprobs[index], tolerances.logprob));
      }
    });

    it('computes few rows in vain', async () => {
      const { tokens, rows, responses } = await generate(32);
      const untilTheLongestEnds = [0, 32, 64, 96, 128]
        .map((start) => responses.slice(start, start + 32))
        .reduce((sum, batch) => sum + batch.length * Math.max(...batch.map((response) => response.length)), 0);
      expect(tokens / rows).toBeGreaterThan(0.6);
      expect(rows).toBeLessThan(untilTheLongestEnds / 2);
    });
  });

  it('samples in proportion to the probabilities', async () => {
    const rows = 2048;
    const generator = await createGenerator(engine, { config, batch: 256, maxPromptTokens: 6, maxNewTokens: 1 });
    const many = Array.from({ length: rows }, () => prompts[0]);
    const { responses, logprobs } = await generator.generate({ ...sampling, prompts: many });
    const counts = new Map<number, number>();
    const probabilities = new Map<number, number>();
    responses.forEach(([token], row) => {
      counts.set(token, (counts.get(token) ?? 0) + 1);
      probabilities.set(token, Math.exp(logprobs[row][0]));
    });
    expect(counts.size).toBeGreaterThan(10);
    for (const [token, count] of counts) {
      const probability = probabilities.get(token)!;
      const deviation = Math.sqrt((probability * (1 - probability)) / rows);
      expect(Math.abs(count / rows - probability)).toBeLessThan(4 * deviation);
    }
  });

  it('keeps to the most probable tokens, yet reports their whole log-probs', async () => {
    const generator = await generatorOf(5);
    const greedy = await generator.generate({ ...sampling, temperature: 0 });
    for (const narrow of [{ topK: 1 }, { topP: 1e-6 }]) {
      const { responses, logprobs } = await generator.generate({ ...sampling, ...narrow });
      expect(responses).toEqual(greedy.responses);
      const expected = await rescore(responses, { temperature: sampling.temperature });
      logprobs.forEach((row, index) => expect(row).toBeAllClose(expected[index], tolerances.logprob));
    }
  });

  it('never samples PAD, even where the weights ask for nothing else', async () => {
    const insistent = shakenParameters(config, 'lm', 3);
    const { 'transformer.wte.weight': table, 'transformer.ln_f.bias': bias } = insistent.views;
    bias.fill(3);
    table.fill(1, config.padId * config.width, (config.padId + 1) * config.width);
    const greedy = { ...sampling, parameters: insistent, temperature: 0 };
    const unmasked = await (await generatorOf(5, { ...config, padId: 7 })).generate(greedy);
    expect(new Set(unmasked.responses.flat())).toEqual(new Set([config.padId]));
    const generator = await generatorOf(5);
    const masked = await generator.generate(greedy);
    expect(masked.responses.flat()).not.toContain(config.padId);
    const sampled = await generator.generate({ ...greedy, temperature: 1 });
    const expected = await rescore(sampled.responses, { weights: insistent });
    sampled.logprobs.forEach((row, index) => expect(row).toBeAllClose(expected[index], tolerances.logprob));
  });

  it('decodes the same on a backend that computes op by op', async () => {
    const eager = await createEngine({ backend: 'cpu' });
    const generator = await createGenerator(eager, { config, batch: 5, ...room });
    const expected = await (await generatorOf(5)).generate(sampling);
    const actual = await generator.generate(sampling);
    expect(actual.responses).toEqual(expected.responses);
    actual.logprobs.forEach((row, index) => expect(row).toBeAllClose(expected.logprobs[index], tolerances.logprob));
    eager.dispose();
  });

  describe('in 8 bits', () => {
    const inInt8 = () => createGenerator(engine, { config, batch: 5, ...room, int8: parameters });

    it('samples from nearly the same distribution', async () => {
      const { responses, logprobs } = await (await inInt8()).generate(sampling);
      const expected = await rescore(responses, { temperature: sampling.temperature });
      logprobs.forEach((row, index) => {
        expect(row.subarray(0, 1)).toBeAllClose(expected[index].subarray(0, 1), tolerances.logprob); // of the prompt
        expect(row).toBeAllClose(expected[index], tolerances.int8Logprob);
        expect(row).not.toBeAllClose(expected[index], tolerances.logprob);
      });
    });

    it('never samples PAD, and is a function of the seed', async () => {
      const insistent = copyParameters(parameters);
      const { 'transformer.wte.weight': table, 'transformer.ln_f.bias': bias } = insistent.views;
      bias.fill(3);
      table.fill(1, config.padId * config.width, (config.padId + 1) * config.width);
      const sample = async () =>
        (await createGenerator(engine, { config, batch: 5, ...room, int8: insistent })).generate({
          ...sampling,
          parameters: insistent,
        });
      const first = await sample();
      expect(first.responses.flat()).not.toContain(config.padId);
      expect(await sample()).toEqual(first);
    });

    it('refuses other weights than its own', async () => {
      const generator = await inInt8();
      await expect(generator.generate({ ...sampling, parameters: copyParameters(parameters) })).rejects.toThrow(
        'the weights that it was created with',
      );
    });
  });

  it('refuses what does not fit', async () => {
    const generator = await generatorOf(2);
    const withPrompts = (...bad: number[][]) => generator.generate({ ...sampling, prompts: bad });
    await expect(withPrompts([2, 3, 4, 5, 6, 7, 8])).rejects.toMatchObject({ code: 'SEQUENCE_TOO_LONG' });
    await expect(withPrompts([2], [])).rejects.toThrow('Sequence 1 has no token');
    await expect(withPrompts([40])).rejects.toThrow('40, which is not a token id below 40');
    await expect(
      createGenerator(engine, { config, batch: 1, maxPromptTokens: 7, maxNewTokens: 10 }),
    ).rejects.toMatchObject({
      code: 'CONFIG_CONFLICT',
      body: { hint: expect.stringContaining('at most 9') },
    });
    expect(await generator.generate({ ...sampling, prompts: [] })).toEqual({
      responses: [],
      logprobs: [],
      finished: [],
      tokens: 0,
      rows: 0,
    });
  });

  it('says so when the weights have diverged', async () => {
    const diverged = shakenParameters(config, 'lm', 3);
    diverged.data[5] = NaN;
    const generator = await generatorOf(2);
    for (const temperature of [0, 1]) {
      await expect(generator.generate({ ...sampling, parameters: diverged, temperature })).rejects.toMatchObject({
        code: 'NON_FINITE',
      });
    }
  });
});
