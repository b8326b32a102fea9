import { columns } from './report';
import { measureOurs } from './sides';
import { shapes } from './shapes';
import type { Case, Phase, Settings } from './task';

/** A row as `--json` writes it. */
export interface ProfileRow extends Case {
  /** The compiled function. */
  readonly graph: string;
  readonly operator: string;
  /** Of one run of the graph. */
  readonly milliseconds: number;
  /** Of the graph, 0–1. */
  readonly share: number;
}

export const profiledPhases = ['train', 'score', 'generate', 'generate-int8'] as const satisfies readonly Phase[];

/** Where the time of compiled graphs goes, by operator; what happens outside of graphs is not in it. */
export async function measureProfiles(cases: readonly Case[], settings: Settings): Promise<ProfileRow[]> {
  const rows: ProfileRow[] = [];
  for (const one of cases) {
    const { graphs = {} } = await measureOurs({ ...settings, ...one, shape: shapes[one.shape], profile: true });
    for (const [graph, operators] of Object.entries(graphs)) {
      const total = Object.values(operators).reduce((sum, seconds) => sum + seconds, 0);
      for (const [operator, seconds] of Object.entries(operators).sort(([, a], [, b]) => b - a))
        rows.push({ ...one, graph, operator, milliseconds: seconds * 1000, share: seconds / total });
    }
  }
  return rows;
}

/** Operators below this share are left out of the table. */
const smallest = 0.01;

export function profileTable(rows: readonly ProfileRow[]): string {
  const cells = rows
    .filter(({ share }) => share >= smallest)
    .map(({ phase, shape, batch, graph, operator, milliseconds, share }) => [
      phase,
      shape,
      String(batch),
      graph,
      operator,
      milliseconds.toFixed(2),
      `${Math.round(share * 100)} %`,
    ]);
  return columns([['phase', 'shape', 'batch', 'graph', 'operator', 'ms', 'share'], ...cells]);
}
