import {
  type DatasetKind,
  type DatasetRows,
  PavlovError,
  type RankedCompletions,
  type RankingRow,
  rowSchemas,
} from '@pavlov/contracts';
import { type z } from 'zod';

/** What a row of each kind looks like, for messages. */
const examples: Readonly<Record<DatasetKind, string>> = {
  text: '{"text": "…"}',
  demonstrations:
    '{"prompt": "…", "completion": "…"} or {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}',
  prompts: '{"prompt": "…"}',
  rankings:
    '{"prompt": "…", "completions": ["…", "…"], "ranks": [1, 2]} or {"prompt": "…", "chosen": "…", "rejected": "…"}',
};

export interface RowSource<K extends DatasetKind> {
  readonly kind: K;
  /** The line as it stands in the file. */
  readonly text: string;
  readonly line: number;
  readonly fileName: string;
}

/**
 * Parses one line of JSON Lines. Fields that the kind does not know are dropped.
 *
 * @throws PavlovError DATASET_INVALID_ROW naming the line and, where one is at fault, the field.
 */
export function parseRow<K extends DatasetKind>({ kind, text, line, fileName }: RowSource<K>): DatasetRows[K] {
  const hint = `A row of kind “${kind}” is one JSON object on one line: ${examples[kind]}.`;
  const invalid = (problem: string, issues: readonly FieldIssue[] = []): PavlovError =>
    new PavlovError({
      code: 'DATASET_INVALID_ROW',
      message: `Line ${line} of ${fileName}: ${problem}.`,
      hint,
      line,
      ...(issues.length > 0 && { field: issues[0].field }),
      ...(issues.length > 1 && { issues: [...issues] }),
    });

  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`it is not JSON (${(error as Error).message})`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('it is not a JSON object');

  const parsed = rowSchemas[kind].safeParse(value);
  if (parsed.success) return parsed.data as DatasetRows[K];
  const issues = nearestIssues(parsed.error.issues, value).map((issue) => fieldIssue(issue, value));
  throw invalid(
    issues.map(({ field, message }) => (field === '' ? message : `\`${field}\` ${message}`)).join('; '),
    issues,
  );
}

/** A ranking in its general form: a chosen/rejected pair is one of two answers. */
export function asRankedCompletions(row: RankingRow): RankedCompletions {
  if ('completions' in row) return row;
  const { prompt, chosen, rejected, labeller } = row;
  return { prompt, completions: [chosen, rejected], ranks: [1, 2], ...(labeller && { labeller }) };
}

type Issue = z.core.$ZodIssue;
interface FieldIssue {
  readonly field: string;
  readonly message: string;
}

/** Where a kind has two forms, the issues of the form that the row comes nearest to: the one that lacks fewest fields. */
function nearestIssues(issues: readonly Issue[], value: object): readonly Issue[] {
  const [first] = issues;
  if (first?.code !== 'invalid_union') return issues;
  const missing = (form: readonly Issue[]): number =>
    form.filter((issue) => issue.path.length === 1 && !((issue.path[0] as string) in value)).length;
  return first.errors.reduce((nearest, form) => (missing(form) < missing(nearest) ? form : nearest));
}

function fieldIssue(issue: Issue, value: object): FieldIssue {
  const field = issue.path.join('.');
  const found = issue.path.reduce<unknown>(
    (inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key],
    value,
  );
  return { field, message: found === undefined && issue.code === 'invalid_type' ? 'is missing' : sentenceOf(issue) };
}

function sentenceOf(issue: Issue): string {
  if (issue.code === 'invalid_type') return `must be of type ${issue.expected}`;
  if (issue.code === 'too_small' && issue.origin === 'array') return `has too few items: ${issue.minimum} at least`;
  if (issue.code === 'too_big' && issue.origin === 'array') return `has too many items: ${issue.maximum} at most`;
  if (issue.code === 'too_small' && issue.origin === 'string') return 'is empty';
  return `is not valid: ${issue.message}`;
}
