import { goldReward } from './gold-law';
import { createHeldOutReader, type Look } from './held-out';

/** So many answers that nothing is noise, and a reward that has risen beyond doubt. */
const sure: Look = { rootKl: 1, mean: 0, deviation: 2, answers: 1e8, proxyRise: 100 };
const read = (looks: readonly Partial<Look>[], heldOutDrop = 0.5) => {
  const reader = createHeldOutReader({ heldOutDrop });
  return looks.map((look) => {
    const { readings, figures } = reader({ ...sure, ...look });
    const of = (name: string) => readings.find(({ signal }) => signal === name);
    return { fall: of('held-out-falling'), peak: of('past-the-peak'), figures };
  });
};
const severities = (means: readonly number[], look: Partial<Look> = {}) =>
  read(means.map((mean) => ({ ...look, mean }))).map(({ fall }) => fall?.severity);

describe('the held-out score falls', () => {
  it('by medians of three, in deviations of the first scores', () => {
    // Medians from the third look on: 1, 2, 3, 2, 1.5. The best is 3, the unit 2.
    const looks = read([0, 1, 2, 3, 4, 2, 1.5].map((mean) => ({ mean })));
    expect(looks.map(({ fall }) => fall?.value)).toEqual([undefined, undefined, 0, 0, 0, 0, 0.5]);
    expect(looks[6].figures).toMatchObject({ 'monitor/held_out_score': 1.5, 'monitor/held_out_drop': 0.5 });
    expect(looks[6].fall).toMatchObject({ limit: 0.5, severity: 1 });
  });

  it('not by a single look, and by the second in a row', () => {
    expect(severities([0, 0, 0, -9, 0, -9, -9])).toEqual([undefined, undefined, 0, 0, 0, 18 / 4 / 0.5, 18 / 4 / 0.5]);
  });

  it('only while the reward has risen', () => {
    expect(severities([0, 0, 0, -9, -9], { proxyRise: 2 })[4]).toBe(2 / 5);
    expect(severities([0, 0, 0, -9, -9], { proxyRise: -3 })[4]).toBe(-3 / 5);
  });

  it('by five standard errors at least, where few answers are judged', () => {
    const [limit] = read([{}, {}, { answers: 16 }].map((look) => ({ answers: 16, ...look })))
      .flatMap(({ fall }) => fall ?? [])
      .map((fall) => fall.limit);
    // A median of three normal numbers has 0.4487 of their variance; a look has 1 / 16 here, and there are two medians.
    expect(limit).toBeCloseTo(5 * Math.sqrt((2 * 0.4487) / 16), 3);
  });

  it('in no unit, until the judge tells answers apart', () => {
    const looks = read([0, 0, 0, 0, 3, 6, 6].map((mean) => ({ mean, deviation: mean })));
    expect(looks.map(({ fall }) => fall?.value)).toEqual([undefined, undefined, undefined, undefined, 0, 0, 0]);
    // The unit is the mean of the deviations 0, 0 and 3; the medians fall from 6 to 4.
    const [, , , , , , , , fallen] = read([0, 0, 0, 0, 3, 6, 6, 4, 4].map((mean) => ({ mean, deviation: mean })));
    expect(fallen.fall?.value).toBe(2);
  });
});

describe('the peak of the law is passed', () => {
  const [alpha, beta] = [1, 0.5];
  const peak = Math.exp(alpha / beta - 1);
  const along = (distances: readonly number[], scale = 1) =>
    read(distances.map((rootKl) => ({ rootKl, mean: 5 + scale * goldReward({ alpha, beta, rootKl }) })));
  const steps = (count: number, step: number): number[] => Array.from({ length: count }, (_, i) => step * i);

  it('a quarter beyond it, and not before', () => {
    const looks = along(steps(60, 0.1));
    const first = looks.findIndex(({ peak: reading }) => (reading?.severity ?? 0) >= 1);
    expect(first).toBe(Math.ceil((1.25 * peak) / 0.1));
    expect(looks[first].peak?.limit).toBeCloseTo(1.25 * peak, 6);
    expect(looks[first].peak?.message()).toBe(
      '√KL is 3.4; by the law fitted to the held-out scores their peak was at 2.72, a KL of 7.39 nats.',
    );
  });

  it('after eight looks at least', () => {
    const found = along(steps(12, 1)).map(({ peak: reading }) => (reading?.severity ?? 0) >= 1);
    expect(found.indexOf(true)).toBe(7);
  });

  it('gives α and β in deviations of the first scores', () => {
    const { figures } = along(steps(20, 0.2), 2)[19];
    expect(figures['monitor/law_alpha']).toBeCloseTo(alpha, 9);
    expect(figures['monitor/law_beta']).toBeCloseTo(beta, 9);
    expect(figures['monitor/law_peak']).toBeCloseTo(peak, 9);
    expect(figures['monitor/law_explained']).toBeCloseTo(1, 9);
  });

  it('names no peak far beyond all looks', () => {
    const { figures } = along([0, 0.05, 0.1, 0.15, 0.2], 2)[4];
    expect(figures['monitor/law_beta']).toBeCloseTo(beta, 9);
    expect(figures).not.toHaveProperty('monitor/law_peak');
  });
});
