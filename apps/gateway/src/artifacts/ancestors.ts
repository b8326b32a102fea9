import { type Store } from '@pavlov/checkpoint-store';
import { type Ancestor, type Lineage } from '@pavlov/contracts';

interface Made {
  readonly id: string;
  readonly lineage?: Lineage;
}

/** Everything that an artefact was made from, nearest first; what several were made from is there once. */
export async function ancestorsOf(store: Store, artifact: Made): Promise<Ancestor[]> {
  const found = new Map<string, Ancestor>();
  let generation: readonly Made[] = [artifact];
  while (generation.length > 0) {
    const next: Made[] = [];
    for (const { id: maker, lineage } of generation) {
      for (const { field, id } of [...(lineage?.parents ?? []), ...(lineage?.datasets ?? [])]) {
        const usedBy = { id: maker, field };
        const known = found.get(id);
        if (known !== undefined) {
          known.usedBy.push(usedBy);
          continue;
        }
        const manifest = (await store.checkpoints.find(id)) ?? (await store.datasets.find(id));
        const stage = manifest?.lineage?.stage;
        found.set(id, {
          id,
          kind: manifest?.kind ?? 'unknown',
          ...(stage === undefined ? {} : { stage }),
          missing: manifest === undefined,
          usedBy: [usedBy],
        });
        if (manifest !== undefined) next.push(manifest);
      }
    }
    generation = next;
  }
  return [...found.values()];
}
