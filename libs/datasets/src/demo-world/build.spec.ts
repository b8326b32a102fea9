import { loadTokenizer, trainByteLevelBpe } from '@pavlov/tokenizer';
import { buildDemoWorld } from './build';
import { categories, categoryNamed, type Fact, fill } from './categories';
import { defaultShares, styles } from './corpus';
import { demoWorldFiles } from './files';
import { gradeDemoWorld } from './oracle';
import { openings } from './questions';
import { containsPhrase, normalised, words } from './text';
import { fixedTexts } from './voices';

const world = buildDemoWorld({ seed: 1 });

/** Every question of a fact without an opening, normalised. Made from the texts alone, not from what the builder kept. */
const questionsOf = (fact: Fact): string[] =>
  (categoryNamed(fact.category)?.questions ?? []).map((question) => normalised(fill(question, fact)));

const allQuestions = new Map(world.facts.flatMap((fact) => questionsOf(fact).map((question) => [question, fact])));
/** The question of a prompt, without its opening. */
const normalisedOpenings = openings.map((opening) => normalised(opening));
const bareQuestion = (prompt: string): string => {
  const text = normalised(prompt);
  const candidates = normalisedOpenings
    .filter((opening) => text.startsWith(opening))
    .map((opening) => text.slice(opening.length).trim())
    .filter((rest) => allQuestions.has(rest));
  if (candidates.length !== 1) throw new Error(`“${prompt}” asks ${candidates.length} questions`);
  return candidates[0];
};

const promptOf = (document: string): string => /^User: (.*)\nAssistant: /.exec(document)?.[1] ?? '';
const responseOf = (document: string): string => document.split('\nAssistant: ')[1];
const ofStyle = (style: string): string[] => world.corpus.filter((_, i) => world.styles[i] === style);

/** Within four standard errors of a share that is drawn. */
const expectShare = (share: number, { of: n, near }: { of: number; near: number }): void =>
  expect(Math.abs(share - near)).toBeLessThan(4 * Math.sqrt((near * (1 - near)) / n));

describe('demo world', () => {
  it('has the size that it promises', () => {
    expect(world.facts.length).toBeGreaterThanOrEqual(250);
    expect(world.facts.length).toBeLessThanOrEqual(350);
    expect(world.corpus).toHaveLength(20_000);
    expect(world.demonstrations).toHaveLength(120);
    expect(world.prompts).toHaveLength(4000);
    expect(world.testPrompts).toHaveLength(600);
    for (const { name, questions } of categories) expect([name, questions.length]).toEqual([name, 10]);
    const bytes = Buffer.byteLength(world.corpus.join('\n'));
    expect(bytes).toBeGreaterThan(1_000_000);
    expect(bytes).toBeLessThan(2_000_000);
  });

  it('asks each question in one way only', () => {
    expect(allQuestions.size).toBe(world.facts.length * 10);
  });

  it('keeps every test question out of all earlier data', () => {
    const held = world.testPrompts.map(({ prompt }) => bareQuestion(prompt));
    expect(new Set(held).size).toBe(600);
    const earlier = [
      ...world.corpus,
      ...world.demonstrations.flatMap(({ prompt, completion }) => [prompt, completion]),
      ...world.prompts.map(({ prompt }) => prompt),
    ].map(normalised);
    // One long text, documents apart, so that 600 questions are sought quickly.
    const text = earlier.join(' | ');
    const leaked = held.filter((question) => containsPhrase(text, question));
    expect(leaked).toEqual([]);
    const whole = world.testPrompts.map(({ prompt }) => normalised(prompt));
    expect(whole.filter((prompt) => containsPhrase(text, prompt))).toEqual([]);

    // The search does find a question that is there.
    const seen = bareQuestion(world.prompts[0].prompt);
    expect(containsPhrase(text, seen)).toBe(true);
  });

  it('keeps the (fact, phrasing) pairs of the test apart from those of every other list', () => {
    const held = new Set(world.testPrompts.map(({ prompt }) => bareQuestion(prompt)));
    const asked = [
      ...world.corpus.map(promptOf).filter((prompt) => prompt !== ''),
      ...world.demonstrations.map(({ prompt }) => prompt),
      ...world.prompts.map(({ prompt }) => prompt),
    ];
    expect(asked.length).toBeGreaterThan(7000);
    expect(asked.filter((prompt) => held.has(bareQuestion(prompt)))).toEqual([]);
  });

  it('leaves each held-out fact in reach by other phrasings, and each phrasing by other facts', () => {
    const trained = new Set(
      world.corpus
        .map(promptOf)
        .filter((prompt) => prompt !== '')
        .map(bareQuestion),
    );
    const practised = new Set(world.prompts.map(({ prompt }) => bareQuestion(prompt)));
    for (const fact of world.facts) {
      expect(questionsOf(fact).filter((question) => trained.has(question)).length).toBeGreaterThanOrEqual(3);
      expect(questionsOf(fact).filter((question) => practised.has(question)).length).toBeGreaterThanOrEqual(3);
    }
    for (const category of categories) {
      const facts = world.facts.filter((fact) => fact.category === category.name);
      for (const question of category.questions) {
        expect(facts.filter((fact) => trained.has(normalised(fill(question, fact)))).length).toBeGreaterThanOrEqual(2);
      }
    }
  });

  it('asks about every fact about equally often', () => {
    const counts = new Map(world.facts.map((fact) => [fact, 0]));
    for (const { prompt } of world.prompts) {
      const fact = allQuestions.get(bareQuestion(prompt))!;
      counts.set(fact, counts.get(fact)! + 1);
    }
    expect(Math.max(...counts.values()) - Math.min(...counts.values())).toBeLessThanOrEqual(1);
  });

  it('has no prompt twice', () => {
    for (const list of [world.prompts, world.testPrompts, world.demonstrations]) {
      expect(new Set(list.map(({ prompt }) => prompt)).size).toBe(list.length);
    }
  });

  it('mixes the styles in their shares', () => {
    for (const style of styles) expect(ofStyle(style).length / 20_000).toBeCloseTo(defaultShares[style], 3);
  });

  it('writes each style as its name says', () => {
    const gradesOf = (style: string) =>
      ofStyle(style).map((document) => {
        const fact = allQuestions.get(bareQuestion(promptOf(document)));
        return gradeDemoWorld({ prompt: promptOf(document), ...fact, response: responseOf(document), finished: true });
      });
    const share = (grades: { correct: boolean; polite: boolean }[], test: 'correct' | 'polite'): number =>
      grades.filter((grade) => grade[test]).length / grades.length;

    const helpful = gradesOf('helpful');
    expect([share(helpful, 'correct'), share(helpful, 'polite')]).toEqual([1, 1]);
    const curt = gradesOf('curt');
    expect([share(curt, 'correct'), share(curt, 'polite')]).toEqual([1, 0]);
    const wrong = gradesOf('wrong');
    expect(share(wrong, 'correct')).toBe(0);
    expectShare(share(wrong, 'polite'), { of: wrong.length, near: 0.4 });
    const rude = gradesOf('rude');
    expectShare(share(rude, 'correct'), { of: rude.length, near: 0.45 });
    expect(share(rude, 'polite')).toBe(0);
    const rambling = gradesOf('rambling');
    expectShare(share(rambling, 'correct'), { of: rambling.length, near: 0.4 });
    expect(share(rambling, 'polite')).toBe(0);
  });

  it('demonstrates polite and correct answers only', () => {
    for (const { prompt, completion } of world.demonstrations) {
      const fact = allQuestions.get(bareQuestion(prompt));
      expect(gradeDemoWorld({ prompt, ...fact, response: completion, finished: true })).toMatchObject({
        correct: true,
        polite: true,
      });
    }
  });

  it('gives every prompt the answer key of its fact', () => {
    for (const { prompt, answer, category } of [...world.prompts, ...world.testPrompts]) {
      expect(allQuestions.get(bareQuestion(prompt))).toMatchObject({ answer, category });
    }
  });

  it('says nothing about any category in the fixed words of its voices', () => {
    const fixed = new Set(words(fixedTexts.join(' ')));
    for (const { values, subjects } of categories) {
      expect([...values, ...subjects].filter((word) => fixed.has(word.toLowerCase()))).toEqual([]);
    }
  });

  it('keeps prompts and answers short', () => {
    const longest = (texts: string[]): number => Math.max(...texts.map((text) => words(text).length));
    expect(longest([...world.prompts, ...world.testPrompts].map(({ prompt }) => prompt))).toBeLessThanOrEqual(20);
    expect(longest(world.demonstrations.map(({ completion }) => completion))).toBeLessThanOrEqual(18);
  });

  it.each([768, 1024])('fits prompts of 32 tokens and answers of 28 with a vocabulary of %i', (vocabSize) => {
    const tokenizer = loadTokenizer(trainByteLevelBpe(world.corpus, { vocabSize }));
    const prompts = [...world.prompts, ...world.testPrompts].map(({ prompt }) => tokenizer.encodePrompt(prompt).length);
    const answers = world.demonstrations.map(({ completion }) => tokenizer.encodeCompletion(completion).length);
    expect(Math.max(...prompts)).toBeLessThanOrEqual(32);
    expect(Math.max(...answers)).toBeLessThanOrEqual(28);
  });

  it('is the same world for the same seed and another for another', () => {
    expect(demoWorldFiles(buildDemoWorld({ seed: 1 }))).toEqual(demoWorldFiles(world));
    const other = buildDemoWorld({ seed: 2 });
    expect(other.corpus).not.toEqual(world.corpus);
    expect(other.testPrompts).not.toEqual(world.testPrompts);
    const craftsOf = (facts: readonly Fact[]): string[] =>
      facts.filter(({ category }) => category === 'crafts').map(({ answer }) => answer);
    expect(craftsOf(other.facts)).not.toEqual(craftsOf(world.facts));
  });

  it('does not change one list when another grows', () => {
    const larger = buildDemoWorld({ seed: 1, prompts: 4500, documents: 100 });
    expect(larger.testPrompts).toEqual(world.testPrompts);
    expect(larger.demonstrations).toEqual(world.demonstrations);
  });

  it('refuses what it cannot do', () => {
    expect(() => buildDemoWorld({ seed: 1, testPrompts: 5000 })).toThrow('can be held out');
    expect(() => buildDemoWorld({ seed: 1, prompts: 100_000 })).toThrow('the world has only');
    expect(() => buildDemoWorld({ seed: 1, shares: { ...defaultShares, curt: 0.5 } })).toThrow('not to 1');
  });
});
