import { createEngine, type Engine, parameterSignature } from '@pavlov/tensor';
import { installMatchers, tolerances } from '@pavlov/testing';
import { hiddenStates, scalarScores } from './forward';
import { createRewardScorer, createScorer } from './scorer';
import { randomSequences, shakenParameters, smallConfig } from './spec-support';

installMatchers();

const config = smallConfig;
const policy = shakenParameters(config, 'lm', 1);
const reward = shakenParameters(config, 'scalar', 2);
const sequences = randomSequences([7, 2, 5, 8, 3], config.vocabSize, 3);
const from = [3, 1, 4, 2, 2];

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ threads: 1 });
});
afterAll(() => engine.dispose());

describe('createScorer', () => {
  it('scores each token after the prompt, whatever the padding and the batch', async () => {
    const narrow = await createScorer(engine, { config, batch: 5, length: 8 });
    const expected = await narrow.logprobs({ parameters: policy, sequences, from, temperature: 0.7 });
    expect(expected.map((row) => row.length)).toEqual([4, 1, 1, 6, 1]);
    for (const shape of [
      { batch: 5, length: 16 },
      { batch: 1, length: 8 },
      { batch: 2, length: 13 },
    ]) {
      const scorer = await createScorer(engine, { config, ...shape });
      const actual = await scorer.logprobs({ parameters: policy, sequences, from, temperature: 0.7 });
      actual.forEach((row, index) => expect(row).toBeAllClose(expected[index], tolerances.reference));
    }
  });

  it('is a distribution over every token but PAD, which the temperature sharpens', async () => {
    const scorer = await createScorer(engine, { config, batch: 40, length: 6 });
    const context = sequences[2].slice(0, 4);
    const next = Array.from({ length: config.vocabSize }, (_, id) => [...context, id]);
    const probabilities = async (temperature: number) => {
      const scores = await scorer.logprobs({
        parameters: policy,
        sequences: next,
        from: next.map(() => 4),
        temperature,
      });
      return scores.map(([score]) => Math.exp(score));
    };
    const plain = await probabilities(1);
    expect([plain.reduce((sum, p) => sum + p, 0)]).toBeAllClose([1], tolerances.reference);
    expect(plain[config.padId]).toBe(0);
    // softmax(logits / T) ∝ softmax(logits)^(1/T)
    const powers = plain.map((p) => p ** 2);
    const total = powers.reduce((sum, p) => sum + p, 0);
    expect(await probabilities(0.5)).toBeAllClose(
      powers.map((p) => p / total),
      tolerances.composed,
    );
  });

  it('refuses starts that have nothing before or after them', async () => {
    const scorer = await createScorer(engine, { config, batch: 2, length: 8 });
    const score = (starts: number[]) =>
      scorer.logprobs({ parameters: policy, sequences: sequences.slice(0, 2), from: starts, temperature: 1 });
    await expect(score([1])).rejects.toThrow('2 sequences, but 1 starts');
    await expect(score([0, 1])).rejects.toThrow('Sequence 0 cannot be scored from token 0');
    await expect(score([1, 3])).rejects.toThrow('Sequence 1 cannot be scored from token 3');
    expect((await score([7, 2])).map((row) => row.length)).toEqual([0, 0]);
    await expect(
      scorer.logprobs({ parameters: policy, sequences: [randomSequences([9], 40, 1)[0]], from: [1], temperature: 1 }),
    ).rejects.toMatchObject({
      code: 'SEQUENCE_TOO_LONG',
    });
  });
});

describe('createRewardScorer', () => {
  it('reads the scalar head at the last real token, whatever the padding and the batch', async () => {
    const compiled = await engine.compile(
      ({ tokens, ...weights }) => ({ scores: scalarScores(weights, hiddenStates(weights, tokens, config)) }),
      {
        ...parameterSignature(reward.layout),
        tokens: { shape: [1, 8], dtype: 'int32' },
      },
    );
    const longest = sequences[3];
    const { scores: perToken } = await compiled.run({ ...reward.views, tokens: Int32Array.from(longest) });
    const prefixes = longest.map((_, index) => longest.slice(0, index + 1));
    expect(new Set(perToken).size).toBe(8);
    for (const shape of [
      { batch: 3, length: 8 },
      { batch: 8, length: 16 },
      { batch: 1, length: 11 },
    ]) {
      const scorer = await createRewardScorer(engine, { config, ...shape });
      expect(await scorer.score({ parameters: reward, sequences: prefixes })).toBeAllClose(
        perToken,
        tolerances.reference,
      );
    }
  });

  it('refuses sequences that do not fit', async () => {
    const scorer = await createRewardScorer(engine, { config, batch: 2, length: 4 });
    await expect(scorer.score({ parameters: reward, sequences: [[2], [2, 3, 4, 5, 6]] })).rejects.toMatchObject({
      code: 'SEQUENCE_TOO_LONG',
    });
    await expect(scorer.score({ parameters: reward, sequences: [[-1]] })).rejects.toThrow(
      '-1, which is not a token id',
    );
  });
});
