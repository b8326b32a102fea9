import { type PromptRow } from '@pavlov/contracts';
import { randomStream, type RandomStream } from '@pavlov/random';
import { categories, type Fact } from './categories';
import { defaultShares, type Shares, type Style, writeCorpus } from './corpus';
import { ask, distinctTexts, holdOut, openings } from './questions';
import { polite } from './voices';

export interface DemoWorldOptions {
  readonly seed: number;
  /** Documents of the corpus. */
  readonly documents?: number;
  /** Polite and correct demonstrations. */
  readonly demonstrations?: number;
  /** Prompts to sample answers for, in feedback and PPO. */
  readonly prompts?: number;
  /** Held-out questions; each is a pair of fact and phrasing that occurs nowhere else. */
  readonly testPrompts?: number;
  /** Share of each style in the corpus; they sum to 1. */
  readonly shares?: Shares;
}

/** Counts that the demo uses unless told otherwise. */
export const demoWorldDefaults = {
  documents: 20_000,
  demonstrations: 120,
  prompts: 4000,
  testPrompts: 600,
  shares: defaultShares,
} as const;

export interface DemoWorld {
  readonly facts: readonly Fact[];
  /** Documents for pretraining: one dialogue, or two to four statements, each. */
  readonly corpus: readonly string[];
  /** Style of each document, for tests and reports; no file carries it and no stage reads it. */
  readonly styles: readonly Style[];
  readonly demonstrations: readonly { readonly prompt: string; readonly completion: string }[];
  /** `answer` and `category` are for oracles only: the simulated labeller and the evaluation. */
  readonly prompts: readonly PromptRow[];
  readonly testPrompts: readonly PromptRow[];
}

/**
 * Builds the demo world: a pure function of its options, byte for byte.
 *
 * A question is a (fact, phrasing) pair. Test questions are held out first, evenly over the facts; corpus,
 * demonstrations and prompts then draw from the other pairs only. So a test question is new under any opening, while
 * its fact occurs in other phrasings and its phrasing with other facts.
 *
 * @throws RangeError if more questions are asked for than the world has, or the shares do not sum to 1.
 */
export function buildDemoWorld(options: DemoWorldOptions): DemoWorld {
  const { seed, documents, demonstrations, prompts, testPrompts, shares } = { ...demoWorldDefaults, ...options };
  const stream = (purpose: string): RandomStream => randomStream(seed, `demo-world/${purpose}`);

  const invention = stream('facts');
  const known = categories.flatMap((category) => category.facts(invention.pick).map((fact) => ({ category, fact })));
  const { heldOut, open } = holdOut({ known, count: testPrompts, random: stream('held-out') });
  const corpus = writeCorpus({ documents, shares, known, open, random: stream('corpus') });

  const demonstrating = stream('demonstrations');
  const testing = stream('test-prompts');
  return {
    facts: known.map(({ fact }) => fact),
    corpus: corpus.map(({ text }) => text),
    styles: corpus.map(({ style }) => style),
    demonstrations: distinctTexts({ open, count: demonstrations, random: demonstrating }).map(({ question, text }) => ({
      prompt: text,
      completion: polite({ ...question, answer: question.fact.answer, random: demonstrating }),
    })),
    prompts: distinctTexts({ open, count: prompts, random: stream('prompts') }).map(({ question, text }) =>
      promptRow(question.fact, text),
    ),
    testPrompts: testing
      .shuffle(heldOut.flat())
      .map((question) => promptRow(question.fact, ask(question, testing.pick(openings)))),
  };
}

function promptRow({ answer, category }: Fact, prompt: string): PromptRow {
  return { prompt, answer, category };
}
