import { causalLmLoss } from '@pavlov/algorithms';
import { type TokenBatch } from '@pavlov/datasets';
import {
  hiddenStatesForTraining,
  nextToken,
  type NextTokenInput,
  transformerLayout,
  type ResidualDropout,
  type TransformerConfig,
} from '@pavlov/model';
import {
  gradientBuffers,
  gradientOutputs,
  gradientsOf,
  parameterSignature,
  tf,
  type Engine,
  type Parameters,
  type Signature,
  type TensorSpec,
} from '@pavlov/tensor';
import { type Learner } from './learner';
import {
  createGradientSum,
  graphsByShape,
  learnedPlaces,
  lengthsOf,
  paddingOf,
  sliceByLength,
  takeSlice,
  type Slice,
} from './slices';

/** The compiled language-model loss: mean −log p per learned token, in nats. */
export interface LmStep {
  /**
   * Loss of a batch; its gradients land in the learner's buffer.
   *
   * @param dropoutMasks Of this very step; needed if, and only if, it is compiled with dropout.
   */
  gradients(
    learner: Pick<Learner, 'parameters' | 'gradients'>,
    batch: TokenBatch,
    dropoutMasks?: Float32Array,
  ): Promise<LmLoss>;
  /** Loss over several batches, each token weighing the same. Nothing is dropped. */
  meanLoss(parameters: Parameters, batches: Iterable<TokenBatch>): Promise<number>;
}

export interface LmLoss {
  readonly loss: number;
  /** Share of what was computed that is padding. */
  readonly padding: number;
}

export interface LmStepOptions {
  readonly model: TransformerConfig;
  readonly rows: number;
  readonly columns: number;
  /** Most rows computed at once; all by default. */
  readonly microbatchSize?: number;
  /** Multiplies the gradients, not the reported loss: the weight of this loss beside another. */
  readonly coefficient?: number;
  /** Of the passes that gradients are taken of; none by default. Its masks are those of the whole grid. */
  readonly dropout?: Pick<ResidualDropout, 'spec'>;
  /** Whether gradients compute each block again instead of keeping what is in it. The same numbers. */
  readonly activationCheckpointing?: boolean;
}

/** Batches are computed in slices, each on as many columns as it needs: a graph is compiled when its shape first occurs. */
export function compileLmStep(engine: Engine, options: LmStepOptions): LmStep {
  const { model, rows, columns, coefficient = 1, dropout, activationCheckpointing } = options;
  const size = Math.min(options.microbatchSize ?? rows, rows);
  /** Of `count` tokens of a slice something is learned, at most; `states` says where they stand, unless they are all. */
  const signatureFor = (sliceColumns: number, count: number): Signature => ({
    ...parameterSignature(transformerLayout(model, 'lm')),
    tokens: { shape: [size, sliceColumns], dtype: 'int32' },
    ...(count < size * sliceColumns && { states: { shape: [count], dtype: 'int32' } }),
    targets: { shape: [count], dtype: 'int32' },
    mask: { shape: [count], dtype: 'float32' },
    denominator: { shape: [], dtype: 'float32' },
  });
  const lossOf = (
    parameters: Record<string, tf.Tensor>,
    { hidden, targets, mask, denominator }: Record<'hidden' | 'targets' | 'mask' | 'denominator', tf.Tensor>,
    { keepsLogits }: Pick<NextTokenInput, 'keepsLogits'> = {},
  ) =>
    causalLmLoss({
      logprobs: nextToken(parameters, { hidden, keepsLogits }, model).logprobs(targets),
      mask,
      denominator: denominator as tf.Scalar,
    });

  const training = graphsByShape((sliceColumns: number, count: number) =>
    engine.compile(
      ({ tokens, states, targets, mask, denominator, dropoutMasks, ...parameters }) => {
        const { metrics, gradients } = gradientsOf((weights) => {
          const pass = { tokens, states, masks: dropoutMasks, activationCheckpointing };
          const hidden = hiddenStatesForTraining(weights, pass, model); // [count, C]
          const { loss } = lossOf(
            weights,
            { hidden, targets, mask, denominator },
            { keepsLogits: !activationCheckpointing },
          );
          return { loss: tf.mul(loss, coefficient), metrics: { loss } };
        }, parameters);
        return { ...metrics, ...gradientOutputs(gradients) };
      },
      {
        ...signatureFor(sliceColumns, count),
        ...(dropout && { dropoutMasks: maskSpec(dropout, size * sliceColumns) }),
      },
      { name: 'lm-training' },
    ),
  );
  const scoring = graphsByShape((sliceColumns: number, count: number) =>
    engine.compile(
      ({ tokens, states, targets, mask, denominator, ...parameters }) => {
        const hidden = hiddenStatesForTraining(parameters, { tokens, states }, model);
        return lossOf(parameters, { hidden, targets, mask, denominator });
      },
      signatureFor(sliceColumns, count),
      { name: 'lm-scoring' },
    ),
  );
  const slicesOf = (lengths: readonly number[]): Slice[] => sliceByLength(lengths, { size, columns });
  const feedsOf = ({ tokens, targets, mask }: TokenBatch, slice: Slice) => {
    const own = {
      targets: takeSlice(targets, slice, { columns, fill: model.padId }),
      mask: takeSlice(mask, slice, { columns, fill: 0 }),
    };
    const states = learnedPlaces(own.mask);
    const learned = states.length < own.mask.length && {
      states,
      targets: states.map((place) => own.targets[place]),
      mask: Float32Array.from(states, (place) => own.mask[place]),
    };
    return {
      count: states.length,
      feeds: {
        tokens: takeSlice(tokens, slice, { columns, fill: model.padId }),
        ...(learned || own),
        denominator: Float32Array.of(Math.max(1, learnedIn(mask))),
      },
    };
  };
  const sum = createGradientSum();
  return {
    gradients: async (learner, batch, dropoutMasks) => {
      const lengths = lengthsOf(batch.mask, columns);
      const slices = slicesOf(lengths);
      let loss = 0;
      await sum.over(slices, learner.gradients, async (slice, gradients) => {
        const { count, feeds } = feedsOf(batch, slice);
        const graph = await training(slice.columns, count);
        const masks = dropoutMasks && takeMasks(dropoutMasks, slice, { rows, columns, width: model.width });
        const outputs = await graph.run(
          { ...learner.parameters.views, ...feeds, ...(masks && { dropoutMasks: masks }) },
          gradientBuffers(gradients),
        );
        loss += outputs.loss[0];
      });
      return { loss, padding: paddingOf(slices, lengths) };
    },
    meanLoss: async (parameters, batches) => {
      let total = 0;
      let learned = 0;
      for (const batch of batches) {
        const weight = learnedIn(batch.mask);
        for (const slice of slicesOf(lengthsOf(batch.mask, columns))) {
          const { count, feeds } = feedsOf(batch, slice);
          const graph = await scoring(slice.columns, count);
          const { loss } = await graph.run({ ...parameters.views, ...feeds });
          total += loss[0] * weight;
        }
        learned += weight;
      }
      return total / learned;
    },
  };
}

const learnedIn = (mask: Float32Array): number => mask.reduce((sum, one) => sum + one, 0);

/** The masks for fewer positions. */
function maskSpec({ spec }: Pick<ResidualDropout, 'spec'>, positions: number): TensorSpec {
  const [places, , width] = spec.shape;
  return { ...spec, shape: [places, positions, width] };
}

/** A slice of dropout masks [P, B·T, C], place by place. */
function takeMasks(
  masks: Float32Array,
  slice: Slice,
  { rows, columns, width }: { rows: number; columns: number; width: number },
): Float32Array {
  const place = rows * columns * width;
  const wide = { ...slice, columns: slice.columns * width };
  const taken = new Float32Array((masks.length / place) * wide.size * wide.columns);
  for (let nth = 0; nth * place < masks.length; nth++)
    taken.set(
      takeSlice(masks.subarray(nth * place, (nth + 1) * place), wide, { columns: columns * width, fill: 0 }),
      nth * wide.size * wide.columns,
    );
  return taken;
}
