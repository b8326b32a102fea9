import { type ErrorBody, type ErrorCode, PavlovError, stages } from '@pavlov/contracts';
import { type z } from 'zod';
import { nearest } from './nearest';
import { descriptionOf, placeAt } from './schema-walk';

/** One thing that is wrong with a request. */
export type Problem = Pick<ErrorBody, 'code' | 'message' | 'hint' | 'line'> & { readonly field: string };

/** The most telling problem stands for all: an unknown name explains why another one is missing. */
const precedence: readonly ErrorCode[] = ['UNKNOWN_STAGE', 'UNKNOWN_OPTION', 'INVALID_REQUEST'];

const rank = (problem: Problem): number => {
  const position = precedence.indexOf(problem.code);
  return position === -1 ? precedence.length : position;
};

/** One error for all problems: the first in precedence is named, every one is listed. */
export function errorOf(problems: readonly Problem[]): PavlovError {
  const [first] = [...problems].sort((a, b) => rank(a) - rank(b));
  const issues = problems.map(({ field, message }) => ({ field, message }));
  return new PavlovError({ ...first, ...(issues.length > 1 ? { issues } : {}) });
}

const join = (prefix: string, path: readonly PropertyKey[]): string =>
  [prefix, ...path]
    .filter((part) => part !== '')
    .map(String)
    .join('.');

const suggestion = (name: string, known: readonly string[]): string => {
  const likely = nearest(name, known);
  if (likely !== undefined) return `Did you mean \`${likely}\`?`;
  return known.length > 0 ? `Known here: ${known.map((key) => `\`${key}\``).join(', ')}.` : 'Leave it out.';
};

const expectations: Partial<Record<string, string>> = {
  int: 'a whole number',
  object: 'an object',
  array: 'a list',
  string: 'a string',
};

function correction(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') return `Give ${expectations[issue.expected] ?? `a ${issue.expected}`}.`;
  if (issue.code === 'too_small')
    return `It must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}.`;
  if (issue.code === 'too_big')
    return `It must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}.`;
  if (issue.code === 'invalid_value')
    return `Use one of: ${issue.values.map((value) => `\`${String(value)}\``).join(', ')}.`;
  return 'Correct it and send the request again.';
}

interface Parsed {
  readonly schema: z.core.$ZodType;
  readonly value: unknown;
  /** Path of the value in the request: `stages.sft`; empty for the whole body. */
  readonly prefix: string;
}

function problemsOf(issue: z.core.$ZodIssue, { schema, value, prefix }: Parsed): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    const { keys } = placeAt(schema, value, issue.path);
    const code = issue.path.at(-1) === 'stages' ? 'UNKNOWN_STAGE' : 'UNKNOWN_OPTION';
    const kind = code === 'UNKNOWN_STAGE' ? 'stage' : 'option';
    return issue.keys.map((key) => ({
      code,
      field: join(prefix, [...issue.path, key]),
      message: `There is no ${kind} \`${key}\`.`,
      hint: suggestion(key, keys),
    }));
  }
  const field = join(prefix, issue.path);
  const given = issue.path.reduce<unknown>(
    (inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key],
    value,
  );
  if (
    issue.path.at(-1) === 'stage' &&
    typeof given === 'string' &&
    (issue.code === 'invalid_value' || issue.code === 'invalid_union')
  ) {
    return [
      { code: 'UNKNOWN_STAGE', field, message: `There is no stage \`${given}\`.`, hint: suggestion(given, stages) },
    ];
  }
  const about = descriptionOf(placeAt(schema, value, issue.path).schema);
  const own: unknown = issue.code === 'custom' ? issue.params?.hint : undefined;
  const hint = typeof own === 'string' ? own : [correction(issue), about].filter(Boolean).join(' ');
  return [{ code: 'INVALID_REQUEST', field, message: issue.message, hint }];
}

/** A schema that says itself why a field is needed is asked first. */
const missing: z.core.$ZodErrorMap = (issue) =>
  issue.code === 'invalid_type' && issue.input === undefined ? 'It is missing.' : undefined;

/** Every problem of a value, in the words of the API; or what it means. */
export function check<S extends z.ZodType>(
  schema: S,
  value: unknown,
  prefix = '',
): { readonly problems?: undefined; readonly data: z.infer<S> } | { readonly problems: readonly Problem[] } {
  const { data, error } = schema.safeParse(value, { error: missing });
  if (error === undefined) return { data: data as z.infer<S> };
  return { problems: error.issues.flatMap((issue) => problemsOf(issue, { schema, value, prefix })) };
}

/** Parses a part of a request, or throws one error that lists all that is wrong with it. */
export function parse<S extends z.ZodType>(schema: S, value: unknown, prefix = ''): z.infer<S> {
  const checked = check(schema, value, prefix);
  if (checked.problems !== undefined) throw errorOf(checked.problems);
  return checked.data;
}
