import { PavlovError, type ErrorCode } from '@pavlov/contracts';
import { toBeAllClose, type Tolerance } from '@pavlov/testing';
import { isDeepStrictEqual } from 'node:util';

interface Row {
  readonly what: string;
  /** What was seen. */
  readonly figure: string;
  readonly passed: boolean;
}

/** Collects checks and prints them as a table. */
export interface Report {
  readonly rows: readonly Row[];
  heading(text: string): void;
  equal(what: string, actual: unknown, expected: unknown): void;
  /** As many equal items as there are in the lists. */
  equalItems(what: string, actual: readonly unknown[], expected: readonly unknown[]): void;
  close(what: string, numbers: { actual: ArrayLike<number>; expected: ArrayLike<number>; tolerance: Tolerance }): void;
  /** Whether it fails with this code and says this. */
  refused(what: string, attempt: () => Promise<unknown>, expected: { code: ErrorCode; says: string }): Promise<void>;
}

export function createReport(print: (line: string) => void): Report {
  const rows: Row[] = [];
  const add = (row: Row): void => {
    rows.push(row);
    print(`${row.passed ? '✓' : '✗'} ${row.what.padEnd(62)} ${row.figure}`);
  };
  return {
    rows,
    heading: (text) => print(`\n${text}`),
    equal: (what, actual, expected) => {
      const passed = isDeepStrictEqual(actual, expected);
      add({ what, passed, figure: passed ? shown(actual) : `${shown(actual)} instead of ${shown(expected)}` });
    },
    equalItems: (what, actual, expected) => {
      const wrong = expected.findIndex((item, index) => !isDeepStrictEqual(actual[index], item));
      const passed = actual.length === expected.length && wrong < 0 && expected.length > 0;
      const example = `[${wrong}] is ${shown(actual[wrong])} instead of ${shown(expected[wrong])}`;
      add({ what, passed, figure: passed ? `${expected.length} equal` : example });
    },
    close: (what, { actual, expected, tolerance }) => {
      const { pass, message } = toBeAllClose(actual, expected, tolerance);
      const largest = Array.from(expected, (value, i) => Math.abs(value - actual[i])).reduce(
        (a, b) => Math.max(a, b),
        0,
      );
      const figure = `${expected.length} numbers, at most ${largest.toExponential(1)} apart`;
      add({ what, passed: pass && expected.length > 0, figure: pass ? figure : message() });
    },
    refused: async (what, attempt, { code, says }) => {
      const error = await attempt().then(
        () => undefined,
        (reason: unknown) => reason,
      );
      const passed = error instanceof PavlovError && error.code === code && error.message.includes(says);
      add({
        what,
        passed,
        figure: error instanceof PavlovError ? `${error.code}: ${oneLine(error.message)}` : shown(error),
      });
    },
  };
}

const shown = (value: unknown): string =>
  value instanceof Error ? String(value) : (JSON.stringify(value) ?? 'nothing');
const oneLine = (text: string): string => text.replace(/\s+/g, ' ');
