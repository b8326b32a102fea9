import { parameterSignature, type Engine, type Parameters } from '@pavlov/tensor';
import type { TransformerConfig } from './config';
import { hiddenStates, hiddenStatesForTraining, nextToken, scalarScores } from './forward';
import { transformerLayout } from './layout';
import { checkSequences, layOut } from './sequences';

export interface ScorerShape {
  readonly config: TransformerConfig;
  /** Sequences scored together. */
  readonly batch: number;
  /** Room for a sequence, in tokens. */
  readonly length: number;
}

export interface LogprobRequest {
  readonly parameters: Parameters;
  /** Any number of sequences of 1 to `length` tokens. */
  readonly sequences: readonly (readonly number[])[];
  /** Per sequence, the index of the first token to score; at least 1, for nothing precedes token 0. */
  readonly from: readonly number[];
  /** Divides the logits. */
  readonly temperature: number;
}

/** One call at a time, as for every compiled function. */
export interface Scorer {
  /** For each sequence, the log-probability of each of its tokens from `from` on. */
  logprobs(request: LogprobRequest): Promise<Float32Array[]>;
  dispose(): void;
}

/** One call at a time, as for every compiled function. */
export interface RewardScorer {
  /** For each sequence, the scalar head's output at its last token. */
  score(request: {
    readonly parameters: Parameters;
    readonly sequences: readonly (readonly number[])[];
  }): Promise<Float32Array>;
  dispose(): void;
}

/** Compiles log-probs of given sequences. They depend neither on padding nor on the sequences around them. */
export async function createScorer(engine: Engine, shape: ScorerShape): Promise<Scorer> {
  const { config, batch, length } = shape;
  const compiled = await engine.compile(
    ({ tokens, targets, temperature, ...weights }) => {
      const hidden = hiddenStates(weights, tokens, config); // [B·T, C]
      return { logprobs: nextToken(weights, { hidden, temperature }, config).logprobs(targets) }; // [B·T]
    },
    {
      ...parameterSignature(transformerLayout(config, 'lm')),
      tokens: { shape: [batch, length], dtype: 'int32' },
      targets: { shape: [batch * length], dtype: 'int32' },
      temperature: { shape: [1], dtype: 'float32' },
    },
    { name: 'scorer-logprobs' },
  );
  const tokens = new Int32Array(batch * length);
  const targets = new Int32Array(batch * length);
  const temperature = new Float32Array(1);
  return {
    async logprobs(request) {
      const { sequences, from } = request;
      checkSequences(sequences, { longest: length, vocabSize: config.vocabSize });
      checkStarts(sequences, from);
      temperature[0] = request.temperature;
      const result: Float32Array[] = [];
      for (let start = 0; start < sequences.length; start += batch) {
        const part = sequences.slice(start, start + batch);
        layOut(part, tokens, { columns: length, padId: config.padId });
        // Column t predicts token t + 1. The target of a row's last token is of no interest, but must be an id.
        targets.set(tokens.subarray(1));
        const { logprobs } = await compiled.run({ ...request.parameters.views, tokens, targets, temperature });
        part.forEach((sequence, row) => {
          const at = row * length - 1;
          result.push(Float32Array.from(logprobs.subarray(at + from[start + row], at + sequence.length)));
        });
      }
      return result;
    },
    dispose: () => compiled.dispose(),
  };
}

/** Compiles reward-model scores. They depend neither on padding nor on the sequences around them. */
export async function createRewardScorer(engine: Engine, shape: ScorerShape): Promise<RewardScorer> {
  const { config, batch, length } = shape;
  const compiled = await engine.compile(
    ({ tokens, last, ...weights }) => {
      const hidden = hiddenStatesForTraining(weights, { tokens, states: last }, config); // [B, C]
      return { scores: scalarScores(weights, hidden) }; // [B]
    },
    {
      ...parameterSignature(transformerLayout(config, 'scalar')),
      tokens: { shape: [batch, length], dtype: 'int32' },
      last: { shape: [batch], dtype: 'int32' },
    },
    { name: 'scorer-reward' },
  );
  const tokens = new Int32Array(batch * length);
  const last = new Int32Array(batch);
  return {
    async score({ parameters, sequences }) {
      checkSequences(sequences, { longest: length, vocabSize: config.vocabSize });
      const result = new Float32Array(sequences.length);
      for (let start = 0; start < sequences.length; start += batch) {
        const part = sequences.slice(start, start + batch);
        layOut(part, tokens, { columns: length, padId: config.padId });
        for (let row = 0; row < batch; row++) last[row] = row * length + (part[row]?.length ?? 1) - 1;
        const { scores } = await compiled.run({ ...parameters.views, tokens, last });
        result.set(scores.subarray(0, part.length), start);
      }
      return result;
    },
    dispose: () => compiled.dispose(),
  };
}

function checkStarts(sequences: LogprobRequest['sequences'], from: LogprobRequest['from']): void {
  if (from.length !== sequences.length)
    throw new RangeError(`There are ${sequences.length} sequences, but ${from.length} starts`);
  from.forEach((start, index) => {
    if (!Number.isInteger(start) || start < 1 || start > sequences[index].length) {
      throw new RangeError(
        `Sequence ${index} cannot be scored from token ${start}; it must be 1 to ${sequences[index].length}`,
      );
    }
  });
}
