/**
 * Every answer of at most two tokens, and how likely a policy is to give it.
 *
 * Method: an answer is {EOS}, {t, EOS}, or the unfinished {t, u}. One forward pass of each prompt and of each prompt ⊕ t
 * gives all conditional distributions; log-softmax is taken in float64.
 */
import { type Store } from '@pavlov/checkpoint-store';
import { hiddenStates, lmLogits } from '@pavlov/model';
import { parameterSignature, tf, type Engine } from '@pavlov/tensor';
import { loadCheckpoint } from '@pavlov/training';
import { type Distribution } from './exact';

export interface AnswerSpace {
  /** Text of each answer, as the stage gives it to reward functions. */
  readonly texts: readonly string[];
  readonly finished: readonly boolean[];
  /** log π(y | x) of a checkpoint, y in the order of `texts`. */
  distributionOf(checkpoint: string): Promise<Distribution>;
}

/** @param input.like A checkpoint whose tokenizer and size all others share. */
export async function openAnswerSpace(
  engine: Engine,
  { store, like, prompts }: { store: Store; like: string; prompts: readonly string[] },
): Promise<AnswerSpace> {
  const { model, tokenizer, parameters } = await loadCheckpoint(store, { id: like, head: 'lm' });
  const { eosId, padId, vocabSize } = tokenizer;
  const encoded = prompts.map((prompt) => tokenizer.encodePrompt(prompt));
  const columns = Math.max(...encoded.map(({ length }) => length)) + 1;
  // PAD has probability 0 everywhere, so it is in no answer.
  const tokens = Array.from({ length: vocabSize }, (_, id) => id).filter((id) => id !== padId);
  const firsts = tokens.filter((id) => id !== eosId);
  const answers = [[eosId], ...firsts.flatMap((first) => tokens.map((second) => [first, second]))];

  const rows = 1 + firsts.length;
  const nextToken = await engine.compile(
    ({ grid, last, ...weights }) => ({
      logits: lmLogits(weights, tf.gather(hiddenStates(weights, grid, model), last as tf.Tensor1D), model), // [rows, V]
    }),
    {
      ...parameterSignature(parameters.layout),
      grid: { shape: [rows, columns], dtype: 'int32' },
      last: { shape: [rows], dtype: 'int32' },
    },
    { name: 'answer-space' },
  );

  return {
    texts: answers.map((answer) => tokenizer.decode(answer, { skipSpecialTokens: true }).trim()),
    finished: answers.map((answer) => answer.at(-1) === eosId),
    distributionOf: async (checkpoint) => {
      const weights = (await loadCheckpoint(store, { id: checkpoint, head: 'lm' })).parameters.views;
      const distribution: Float64Array[] = [];
      for (const prompt of encoded) {
        const grid = new Int32Array(rows * columns).fill(padId);
        const sequences = [prompt, ...firsts.map((first) => [...prompt, first])];
        sequences.forEach((sequence, row) => grid.set(sequence, row * columns));
        const last = Int32Array.from(sequences, ({ length }, row) => row * columns + length - 1);
        const { logits } = await nextToken.run({ ...weights, grid, last });
        const [first, ...second] = sequences.map((_, row) =>
          logSoftmax(logits.subarray(row * vocabSize).subarray(0, vocabSize)),
        );
        const longer = firsts.flatMap((t, row) => tokens.map((u) => first[t] + second[row][u]));
        distribution.push(Float64Array.from([first[eosId], ...longer]));
      }
      return distribution;
    },
  };
}

function logSoftmax(logits: ArrayLike<number>): Float64Array {
  const values = Float64Array.from(logits);
  const largest = values.reduce((a, b) => (a > b ? a : b));
  const logTotal = largest + Math.log(values.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
  return values.map((logit) => logit - logTotal);
}
