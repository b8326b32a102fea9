import { type PipelineRequest } from '@pavlov/contracts';

/** Ids of the demo world's datasets, once uploaded. */
export interface DemoDatasets {
  readonly corpus: string;
  readonly demonstrations: string;
  readonly prompts: string;
  readonly testPrompts: string;
}

/** Longest answer in tokens. */
const maxNewTokens = 28;

/** The pipeline that the demo submits: every option that is not named has its default. */
export function demoPipeline(datasets: DemoDatasets, seed: number): unknown {
  const stages = {
    pretraining: {
      dataset: datasets.corpus,
      model: { layers: 4, heads: 4, width: 128, contextLength: 64 },
      tokenizer: { vocabSize: 768 },
      steps: 2400,
      batchSize: 16,
      learningRate: 3e-3,
      warmupSteps: 40,
      evaluateEvery: 500,
    },
    sft: { dataset: datasets.demonstrations, epochs: 4, batchSize: 32, learningRate: 2e-4, dropout: 0 },
    feedback: {
      prompts: datasets.prompts,
      labeller: { kind: 'simulated', oracle: 'demo-world', noise: 0.15, tieThreshold: 0.6 },
      answersPerPrompt: 4,
      batchSize: 128,
      // Above 1, so that there are wrong answers to tell from right ones.
      temperature: 1.2,
      maxNewTokens,
    },
    'reward-modeling': {
      demonstrations: datasets.demonstrations,
      // One pass, as in InstructGPT, leaves a model this small short of what the rankings can teach.
      epochs: 2,
      batchSize: 16,
      learningRate: 5e-4,
      weightDecay: 0.1,
    },
    ppo: {
      prompts: datasets.prompts,
      iterations: 60,
      batchSize: 128,
      minibatchSize: 32,
      epochs: 1,
      learningRate: 4e-4,
      // Dearer than InstructGPT's 0.02: this small reward model is easily fooled far from the SFT policy.
      klCoefficient: 0.4,
      maxNewTokens,
    },
    evaluation: {
      prompts: datasets.testPrompts,
      oracle: 'demo-world',
      temperature: 0.7,
      batchSize: 128,
      maxNewTokens,
      winRate: { challenger: 'ppo', baseline: 'sft' },
    },
  } satisfies Partial<Record<keyof PipelineRequest['stages'], unknown>>;
  return { name: 'demo', seed, stages };
}
