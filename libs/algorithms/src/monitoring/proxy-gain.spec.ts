import { createProxyGainReader, type ProxyMeans } from './proxy-gain';

const baseline: ProxyMeans = { rootKl: 0.1, proxy: 3, proxyDeviation: 2, scores: 1e8 };
const at = (rootKl: number, gain: number, scores = 1e8): ProxyMeans => ({
  rootKl,
  proxy: 3 + 2 * gain,
  proxyDeviation: 2,
  scores,
});
const read = (points: readonly ProxyMeans[], from = baseline) => {
  const reader = createProxyGainReader();
  return points.map((point) => reader(point, from));
};

describe('the gain of the proxy', () => {
  it('is measured in deviations of the first scores, per √nat', () => {
    const [near, far] = read([at(0.4, 0.3), at(2, 1.5)]);
    expect(near?.figures).toEqual({ 'monitor/proxy_gain': expect.closeTo(0.3, 12) });
    expect(far?.figures).toEqual({
      'monitor/proxy_gain': expect.closeTo(1.5, 12),
      'monitor/gain_per_root_kl': expect.closeTo(0.75, 12),
    });
  });

  it('is held against its standard error', () => {
    const [gain] = read([at(1, 0.5, 80)], { ...baseline, scores: 48 });
    expect(gain?.rise).toBeCloseTo(0.5 / Math.sqrt(1 / 80 + 1 / 48), 9);
  });

  it('has no unit while all scores are equal', () => {
    const equal = { ...baseline, proxyDeviation: 0 };
    const [none, some] = read([{ ...at(1, 1), proxyDeviation: 0 }, at(1, 1)], equal);
    expect(none).toBeUndefined();
    expect(some?.figures['monitor/proxy_gain']).toBeCloseTo(1, 12);
  });
});

describe('KL without gain', () => {
  /** The last reading. */
  const last = (points: readonly ProxyMeans[], from = baseline) => read(points, from).at(-1)?.reading;

  it('is the gain since an earlier point, as a share of what the best rate would have brought', () => {
    // Rate 1 up to √KL 2; one more √nat brings 0.05 instead of 1. Worse than that is no other stretch.
    const reading = last([at(1, 1), at(2, 2), at(3, 2.05)]);
    expect(reading?.value).toBeCloseTo(0.05, 3);
    expect(reading?.severity).toBeCloseTo(0.95 / 0.9, 3);
    expect(reading?.message()).toBe(
      '√KL has grown from 2 to 3, and the reward gained 5 % of what its best rate would have brought.',
    );
    expect(last([at(1, 1), at(2, 2), at(3, 2.2)])?.severity).toBeCloseTo(0.8 / 0.9, 3);
  });

  it('needs a growth that stands out from the noise', () => {
    // Errors of 1/√50 each: 8 · √(2/50) = 1.6 deviations must be missing, and 1 is.
    const noisy = last(
      [at(1, 1, 50), at(2, 2), at(2.5, 2, 50), at(3, 2, 50)].map((point) => ({ ...point, scores: 50 })),
    );
    expect(noisy?.severity).toBeLessThan(1);
    expect(last([at(1, 1), at(2, 2), at(2.5, 2), at(3, 2)])?.severity).toBeGreaterThan(1);
  });

  it('takes two standard errors off a rate', () => {
    // 2 deviations per √nat over the first half, of which 2 · √(1/100 + 1/100) / 0.5 are noise.
    const from = { ...baseline, scores: 100 };
    const best = 2 - (2 * Math.sqrt(2 / 100)) / 0.5;
    const reading = last([at(0.5, 1, 100), at(1.5, 1.1, 100)], from);
    expect(reading?.value).toBeCloseTo(0.1 / best, 9);
  });

  it('is no matter of a KL that stays or shrinks', () => {
    const points = [at(1, 1), at(2, 2), at(2.01, 1.5), at(1.9, 1.2)];
    expect(last(points.slice(0, 2))?.severity).toBeLessThan(0.5);
    expect(last([at(1, 1), at(2, 2), at(2, 2)])?.severity).toBeLessThan(0.5);
    expect(last([at(1, 1), at(2, 2), at(0.5, 0.5)])?.severity).toBeLessThan(1);
  });
});
