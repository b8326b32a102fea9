import { createGenerator, createScorer, transformerLayout } from '@pavlov/model';
import { allocateParameters, type Engine, type Parameters } from '@pavlov/tensor';
import { fill, sequences } from './numbers';
import type { Task } from './task';

function weightsOf({ shape: { model } }: Task): Parameters {
  const parameters = allocateParameters(transformerLayout(model, 'lm'));
  fill(parameters);
  return parameters;
}

/** Log-probs of whole sequences of given text. */
export async function compileScoring(engine: Engine, task: Task): Promise<() => Promise<unknown>> {
  const {
    shape: { model: config, length },
    batch,
  } = task;
  const scorer = await createScorer(engine, { config, batch, length });
  const request = {
    parameters: weightsOf(task),
    sequences: sequences(config, { rows: batch, columns: length }),
    from: Array.from({ length: batch }, () => 1),
    temperature: 1,
  };
  return () => scorer.logprobs(request);
}

/** Sampling with a key-value cache, prompt included; no answer ends early. With weights in 8 bits, if that is the phase. */
export async function compileGeneration(engine: Engine, task: Task): Promise<() => Promise<unknown>> {
  const {
    phase,
    shape: { model: config, prompt, answer },
    batch,
    seed,
  } = task;
  const parameters = weightsOf(task);
  const generator = await createGenerator(engine, {
    config,
    batch,
    maxPromptTokens: prompt,
    maxNewTokens: answer,
    ...(phase === 'generate-int8' && { int8: parameters }),
  });
  const options = {
    parameters,
    prompts: sequences(config, { rows: batch, columns: prompt }),
    temperature: 1,
    eosId: 0,
    stopAtEos: false,
    seed,
    purpose: 'bench',
  };
  let step = 0;
  return () => generator.generate({ ...options, step: step++ });
}
