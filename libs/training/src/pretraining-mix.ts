import { accumulate, globalNorm } from '@pavlov/algorithms';
import { type Store } from '@pavlov/checkpoint-store';
import { copyParameters, type Engine } from '@pavlov/tensor';
import { type LoadedCheckpoint } from './checkpoints';
import { type Learner } from './learner';
import { compileLmStep } from './lm-step';
import { openTextBatches } from './text';

/** Adds the gradient of pretraining text to what a learner is about to learn, against forgetting (InstructGPT §3.5). */
export interface PretrainingMix {
  /** Adds coefficient · ∇(loss of the step's batch) to the learner's gradients. */
  add(learner: Learner, step: number): Promise<MixedIn>;
}

export interface MixedIn {
  /** Mean −log p per pretraining token, in nats, before the coefficient. */
  readonly loss: number;
  /** Norm of what was added ÷ norm of the learner's own gradient: which of the two steers. ∞ if the latter is 0. */
  readonly gradientRatio: number;
  readonly tokens: number;
}

export async function openPretrainingMix(
  engine: Engine,
  options: {
    store: Store;
    policy: LoadedCheckpoint;
    mix: { readonly dataset: string; readonly coefficient: number; readonly batchSize: number };
    seed: number;
    /** Of the steps on this text. */
    activationCheckpointing: boolean;
  },
): Promise<PretrainingMix> {
  const { store, policy, mix, seed, activationCheckpointing } = options;
  const shape = { rows: mix.batchSize, columns: policy.model.contextLength };
  const step = compileLmStep(engine, {
    model: policy.model,
    ...shape,
    coefficient: mix.coefficient,
    activationCheckpointing,
  });
  const batches = await openTextBatches(store, { id: mix.dataset, tokenizer: policy.tokenizer, ...shape, seed });
  const gradients = copyParameters(policy.parameters);
  return {
    add: async (learner, index) => {
      const { loss } = await step.gradients({ ...learner, gradients }, batches.batchAt(index));
      const gradientRatio = globalNorm(gradients.data) / globalNorm(learner.gradients.data);
      accumulate({ total: learner.gradients.data, gradients: gradients.data });
      return { loss, gradientRatio, tokens: shape.rows * shape.columns };
    },
  };
}
