/**
 * Every part of PPO at work on a problem whose answer is known: a few prompts with a handful of one-token responses. The
 * policy is a table of logits, so it can represent the exact optimum π* ∝ π_ref · exp(r / β), and must find it.
 */
import { randomStream } from '@pavlov/random';
import {
  allocateParameters,
  type CompiledFunction,
  createEngine,
  type Engine,
  gradientBuffers,
  gradientOutputs,
  gradientsOf,
  layoutParameters,
  parameterSignature,
  tf,
  tokenLogprobs,
} from '@pavlov/tensor';
import { expectAllClose } from './spec-support';
import {
  adamw,
  clipFactor,
  clippedPolicyLoss,
  clippedValueLoss,
  generalisedAdvantages,
  globalNorm,
  klK1,
  klOptimum,
  linearDecay,
  shuffledMinibatches,
  tokenRewards,
  warmUp,
  whiten,
} from './index';

const PROMPTS = 3;
const RESPONSES = 5;
const BATCH = 256;
const MINIBATCH = 64;
const ITERATIONS = 100;
const EPOCHS = 2;

const random = randomStream(11, 'world');
const table = (scale: number): number[][] =>
  Array.from({ length: PROMPTS }, () => Array.from({ length: RESPONSES }, () => scale * random.normal()));
const referenceLogprobs = table(1).map(logSoftmax);
const trueRewards = table(1);

const layout = layoutParameters([
  { name: 'policy', shape: [PROMPTS, RESPONSES] },
  { name: 'value', shape: [PROMPTS, 1] },
]);

let engine: Engine;
let update: CompiledFunction;

beforeAll(async () => {
  engine = await createEngine({ threads: 1 });
  const line = { shape: [MINIBATCH], dtype: 'float32' as const };
  update = await engine.compile(
    ({ policy, value, prompts, responses, oldLogprobs, advantages, oldValues, returns }) => {
      const mask = tf.ones([MINIBATCH]);
      const { gradients } = gradientsOf(
        (weights) => {
          const logprobs = tokenLogprobs(
            tf.matMul(prompts as tf.Tensor2D, weights.policy as tf.Tensor2D),
            responses as tf.Tensor1D,
          ); // [N]
          const values = tf.reshape(tf.matMul(prompts as tf.Tensor2D, weights.value as tf.Tensor2D), [MINIBATCH]); // [N]
          const policyLoss = clippedPolicyLoss({ logprobs, oldLogprobs, advantages, mask, clipRange: 0.2 }).loss;
          const valueLoss = clippedValueLoss({ values, oldValues, returns, mask, clipRange: 0.2 }).loss;
          return { loss: tf.add(policyLoss, tf.mul(0.1, valueLoss)) };
        },
        { policy, value },
      );
      return gradientOutputs(gradients);
    },
    {
      ...parameterSignature(layout),
      prompts: { shape: [MINIBATCH, PROMPTS], dtype: 'float32' },
      responses: { shape: [MINIBATCH], dtype: 'int32' },
      ...{ oldLogprobs: line, advantages: line, oldValues: line, returns: line },
    },
  );
});
afterAll(() => engine.dispose());

/** The policy, one row of log-probabilities per prompt, that PPO makes of the reference. */
async function trainPpo({ rewards, coefficient }: { rewards: number[][]; coefficient: number }): Promise<number[][]> {
  const parameters = allocateParameters(layout);
  const gradients = allocateParameters(layout);
  parameters.views.policy.set(referenceLogprobs.flat());
  const optimiser = adamw({ layout, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0 });
  const schedule = warmUp({ steps: 10, then: linearDecay({ peak: 0.05, steps: ITERATIONS - 10 }) });
  const mask = new Float32Array(BATCH).fill(1);
  let state = optimiser.init();
  const policy = (): number[][] =>
    referenceLogprobs.map((_, x) =>
      logSoftmax([...parameters.views.policy.subarray(x * RESPONSES, (x + 1) * RESPONSES)]),
    );

  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    const current = policy();
    const episodes = Array.from({ length: BATCH }, (_, i) => {
      const x = i % PROMPTS;
      const y = sample(current[x], randomStream(1, 'rollout', [iteration, i]).uniform());
      return { x, y };
    });
    const logprobs = episodes.map(({ x, y }) => current[x][y]);
    const values = episodes.map(({ x }) => parameters.views.value[x]);
    const kl = klK1({ logprobs, referenceLogprobs: episodes.map(({ x, y }) => referenceLogprobs[x][y]) });
    const perToken = tokenRewards({ kl, mask, scores: episodes.map(({ x, y }) => rewards[x][y]), coefficient });
    const { advantages, returns } = generalisedAdvantages({
      rewards: perToken,
      values,
      mask,
      rows: BATCH,
      gamma: 1,
      lambda: 0.95,
    });
    const whitened = whiten({ values: advantages, mask });

    for (let epoch = 0; epoch < EPOCHS; epoch++) {
      const order = randomStream(1, 'minibatches', [iteration, epoch]);
      for (const rows of shuffledMinibatches({ count: BATCH, size: MINIBATCH, random: order })) {
        const pick = (from: ArrayLike<number>): Float32Array => Float32Array.from(rows, (row) => from[row]);
        await update.run(
          {
            ...parameters.views,
            prompts: Float32Array.from(
              rows.flatMap((row) => referenceLogprobs.map((_, x) => (x === episodes[row].x ? 1 : 0))),
            ),
            responses: Int32Array.from(rows, (row) => episodes[row].y),
            oldLogprobs: pick(logprobs),
            advantages: pick(whitened),
            oldValues: pick(values),
            returns: pick(returns),
          },
          gradientBuffers(gradients),
        );
        const gradientScale = clipFactor({ norm: globalNorm(gradients.data), maxNorm: 1 });
        state = optimiser.update({
          parameters: parameters.data,
          gradients: gradients.data,
          state,
          learningRate: schedule(iteration),
          gradientScale,
        });
      }
    }
  }
  return policy();
}

/** Mean over prompts of E[r] and of KL(π ‖ π_ref). */
function measure(policy: number[][], rewards: number[][]): { reward: number; kl: number } {
  const mean = (quantity: (x: number, y: number) => number): number =>
    policy.reduce((sum, row, x) => sum + row.reduce((s, logprob, y) => s + Math.exp(logprob) * quantity(x, y), 0), 0) /
    PROMPTS;
  return { reward: mean((x, y) => rewards[x][y]), kl: mean((x, y) => policy[x][y] - referenceLogprobs[x][y]) };
}

function logSoftmax(logits: number[]): number[] {
  const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return logits.map((logit) => logit - total);
}

function sample(logprobs: number[], u: number): number {
  let left = u;
  return Math.max(
    logprobs.findIndex((logprob) => (left -= Math.exp(logprob)) < 0),
    0,
  );
}

/** Mean over prompts of the exact optima. */
function optimum(rewards: number[][], coefficient: number): { probabilities: number[][]; reward: number; kl: number } {
  const rows = rewards.map((row, x) =>
    klOptimum({ referenceLogprobs: referenceLogprobs[x], rewards: row, coefficient }),
  );
  const mean = (of: 'reward' | 'kl'): number => rows.reduce((sum, row) => sum + row[of], 0) / PROMPTS;
  return { probabilities: rows.map((row) => [...row.probabilities]), reward: mean('reward'), kl: mean('kl') };
}

describe('PPO against the exact optimum', () => {
  it.each([0.3, 1])('finds it at β = %p', async (coefficient) => {
    const objective = ({ reward, kl }: { reward: number; kl: number }): number => reward - coefficient * kl;
    const policy = await trainPpo({ rewards: trueRewards, coefficient });
    const best = optimum(trueRewards, coefficient);
    const start = objective(measure(referenceLogprobs, trueRewards));
    const gained = (objective(measure(policy, trueRewards)) - start) / (objective(best) - start);
    expect(gained).toBeGreaterThan(0.999);
    expect(gained).toBeLessThanOrEqual(1);
    // The objective is flat at its optimum; the probabilities are the sharper test.
    policy.forEach((row, x) => expectAllClose(row.map(Math.exp), best.probabilities[x], 0.005));
  });

  it('stays at the reference when KL is dear', async () => {
    const policy = await trainPpo({ rewards: trueRewards, coefficient: 100 });
    const { kl, reward } = measure(policy, trueRewards);
    expect(kl).toBeLessThan(1e-3);
    expect(Math.abs(reward - measure(referenceLogprobs, trueRewards).reward)).toBeLessThan(0.02);
  });

  it('hacks a flawed reward when KL is free, and β holds it back', async () => {
    // The proxy overpays the response that is truly the worst.
    const worst = trueRewards.map((row) => row.indexOf(Math.min(...row)));
    const proxy = trueRewards.map((row, x) => row.map((reward, y) => (y === worst[x] ? Math.max(...row) + 1 : reward)));
    const hacked = await trainPpo({ rewards: proxy, coefficient: 0 });
    hacked.forEach((row, x) => expect(Math.exp(row[worst[x]])).toBeGreaterThan(0.95));
    const held = await trainPpo({ rewards: proxy, coefficient: 2 });
    expect(measure(hacked, proxy).reward).toBeGreaterThan(measure(held, proxy).reward);
    expect(measure(hacked, trueRewards).reward).toBeLessThan(measure(held, trueRewards).reward);
    // All the way down: what it collects is the worst there is.
    const lowest = trueRewards.reduce((sum, row) => sum + Math.min(...row), 0) / PROMPTS;
    expect(Math.abs(measure(hacked, trueRewards).reward - lowest)).toBeLessThan(0.1);
  });

  it('ends in the same bytes every time', async () => {
    const [first, second] = [
      await trainPpo({ rewards: trueRewards, coefficient: 1 }),
      await trainPpo({ rewards: trueRewards, coefficient: 1 }),
    ];
    expect(second).toEqual(first);
  });
});
