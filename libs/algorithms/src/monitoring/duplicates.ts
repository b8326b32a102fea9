import { sharedLength } from '../check';
import { type Numbers } from '../rollouts/grid';

/**
 * Share of the answers that were also given to a different prompt, word for word. 1 when every prompt gets one and the
 * same answer; one prompt answered twice alike is no duplicate.
 *
 * @param prompts Which prompt each answer is to, B: any number that tells prompts apart.
 * @param responses Tokens of each answer, B lists.
 */
export function duplicateShare({ prompts, responses }: { prompts: Numbers; responses: readonly Numbers[] }): number {
  const count = sharedLength({ prompts, responses });
  // The first answer of its wording, and whether a different prompt has got it too, by hash.
  const groups = new Map<number, Group[]>();
  const groupOf = responses.map((response, row) => {
    const hash = hashOf(response);
    const sameHash = groups.get(hash);
    const group = sameHash?.find(({ first }) => equal(responses[first], response));
    if (group) {
      if (prompts[group.first] !== prompts[row]) group.shared = true;
      return group;
    }
    const created = { first: row, shared: false };
    if (sameHash) sameHash.push(created);
    else groups.set(hash, [created]);
    return created;
  });
  return groupOf.filter(({ shared }) => shared).length / count;
}

interface Group {
  first: number;
  shared: boolean;
}

/** FNV-1a over tokens. Equal hashes are compared token by token, so a collision costs time and no truth. */
function hashOf(tokens: Numbers): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < tokens.length; i++) hash = Math.imul(hash ^ tokens[i], 0x01000193);
  return hash;
}

function equal(a: Numbers, b: Numbers): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
