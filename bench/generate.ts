/**
 * Speed of sampling with a KV cache: prompts of an eighth of the context, then tokens up to its end.
 *   node scripts/bench.mjs generate [tiny|small|gpt2] [rows] [threads]
 */
import { availableParallelism } from 'node:os';
import { createGenerator, initParameters } from '@pavlov/model';
import { createEngine } from '@pavlov/tensor';
import { sizeFromArguments } from './sizes';

async function main([sizeName, rows, threads = String(availableParallelism())]: string[]): Promise<void> {
  const { config, batch: usualBatch } = sizeFromArguments(sizeName);
  const batch = Number(rows ?? usualBatch);
  const parameters = initParameters(config, 'lm', 1);
  const maxPromptTokens = config.contextLength / 8;
  const engine = await createEngine({ threads: Number(threads) });
  const generator = await createGenerator(engine, {
    config,
    batch,
    maxPromptTokens,
    maxNewTokens: config.contextLength - maxPromptTokens,
  });
  const prompts = Array.from({ length: batch }, (_, row) =>
    Array.from({ length: 1 + (row % maxPromptTokens) }, (_unused, i) => 2 + i),
  );
  const options = { parameters, prompts, temperature: 1, eosId: 0, stopAtEos: false, seed: 1, purpose: 'bench' };

  await generator.generate({ ...options, step: 0 });
  let fastest = 0;
  for (let step = 1; step <= 5; step++) {
    const started = performance.now();
    const { tokens } = await generator.generate({ ...options, step });
    fastest = Math.max(fastest, (tokens / (performance.now() - started)) * 1000);
  }
  engine.dispose();
  console.log({ ...config, batch, threads: Number(threads), fastestTokensPerSecond: Math.round(fastest) });
}

void main(process.argv.slice(2));
