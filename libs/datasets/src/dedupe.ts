import { type DatasetKind, type DatasetRows, PavlovError } from '@pavlov/contracts';
import { createHash } from 'node:crypto';

/** The items whose key no earlier item has. */
export function distinctBy<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  const seen = new Set<string>();
  return items.filter((item) => {
    const key = keyOf(item);
    return !seen.has(key) && seen.add(key);
  });
}

/** What people asked, in rows that have a prompt. A system message says little about it: many rows share one. */
const promptOf: { readonly [K in DatasetKind]?: (row: DatasetRows[K]) => string } = {
  prompts: ({ prompt }) => prompt,
  demonstrations: (row) => {
    if (!('messages' in row)) return row.prompt;
    const before = row.messages.slice(0, -1);
    const asked = before.filter(({ role }) => role !== 'system');
    return (asked.length > 0 ? asked : before).map(({ content }) => content).join('\n');
  },
};

/**
 * Whether a row's prompt begins with the same `characters` characters as that of an earlier row: prompts that share a
 * long prefix are mostly one question asked again (InstructGPT §3.2). Shorter prompts have to be equal. Keeps one hash
 * for each row.
 *
 * @throws PavlovError CONFIG_CONFLICT for a kind that is not deduplicated
 */
export function createPrefixFilter<K extends DatasetKind>(
  kind: K,
  characters: number,
): (row: DatasetRows[K]) => boolean {
  const prompt = promptOf[kind] as ((row: DatasetRows[K]) => string) | undefined;
  if (prompt === undefined) {
    throw new PavlovError({
      code: 'CONFIG_CONFLICT',
      field: 'dedupePrefix',
      message: `Rows of kind “${kind}” are not deduplicated by their prompts.`,
      hint: `Leave dedupePrefix out, or upload ${Object.keys(promptOf).join(' or ')}.`,
    });
  }
  const seen = new Set<string>();
  return (row) => {
    const prefix = createHash('sha256').update(prompt(row).slice(0, characters)).digest('base64');
    const before = seen.size;
    return seen.add(prefix).size === before;
  };
}
