import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serialiseRows } from '../describe';
import { type DemoWorld } from './build';

/** The datasets of a demo world, as JSON Lines by file name. */
export function demoWorldFiles(world: DemoWorld): Readonly<Record<string, string>> {
  return {
    'corpus.jsonl': serialiseRows(world.corpus.map((text) => ({ text }))),
    'demonstrations.jsonl': serialiseRows(world.demonstrations),
    'prompts.jsonl': serialiseRows(world.prompts),
    'test-prompts.jsonl': serialiseRows(world.testPrompts),
  };
}

/** Writes the datasets of a demo world into a folder, which is made if need be. */
export async function writeDemoWorld(world: DemoWorld, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(demoWorldFiles(world))) await writeFile(join(folder, name), text);
}
