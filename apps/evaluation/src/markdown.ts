import { type EvaluationReport, type PolicyEvaluation } from '@pavlov/contracts';

const percent = (value: number | undefined): string => (value === undefined ? '–' : `${(value * 100).toFixed(1)} %`);
const fixed = (value: number | undefined, digits = 2): string => (value === undefined ? '–' : value.toFixed(digits));
/** A cell must stay on one line and inside its column. */
const cell = (text: string): string => text.replace(/\s*\n\s*/g, ' ⏎ ').replace(/\|/g, '\\|');
const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

const sampledWith: Record<EvaluationReport['weights'], string> = {
  float32: '',
  bfloat16: ' in bfloat16',
  int8: ' with weights in 8 bits',
};

const columns: readonly (readonly [string, (policy: PolicyEvaluation) => string])[] = [
  ['policy', ({ name }) => cell(name)],
  ['polite and correct', ({ politeAndCorrect }) => percent(politeAndCorrect)],
  ['polite', ({ polite }) => percent(polite)],
  ['correct', ({ correct }) => percent(correct)],
  [
    'reward',
    ({ reward, rewardDeviation: deviation }) =>
      fixed(reward) + (deviation === undefined ? '' : ` ± ${fixed(deviation)}`),
  ],
  ['KL to reference (nats)', ({ klToReference }) => fixed(klToReference)],
  ['perplexity', ({ perplexity }) => fixed(perplexity)],
  ['tokens per answer', ({ responseTokens }) => fixed(responseTokens, 1)],
  ['ended by itself', ({ endedWithEos }) => percent(endedWithEos)],
];

/** The report for people. */
export function renderMarkdown(report: EvaluationReport): string {
  const { policies, winRate, samples } = report;
  const lines = [
    `# Evaluation ${report.id}`,
    '',
    `${policies[0].prompts} prompts, answers sampled at temperature ${report.temperature}${sampledWith[report.weights]}, seed ${report.seed}.`,
    '',
    row(columns.map(([title]) => title)),
    row(columns.map(() => '---')),
    ...policies.map((policy) => row(columns.map(([, show]) => show(policy)))),
  ];
  if (winRate) {
    const [low, high] = winRate.interval;
    lines.push(
      '',
      `The reward model prefers **${winRate.challenger}** to ${winRate.baseline} in ${percent(winRate.rate)} of the prompts (95 % interval ${percent(low)} – ${percent(high)}; ${winRate.wins} won, ${winRate.ties} tied, ${winRate.losses} lost).`,
    );
  }
  const categories = Object.keys(policies[0].categories ?? {});
  if (categories.length > 0) {
    lines.push(
      '',
      '## Polite and correct, by category',
      '',
      row(['category', 'prompts', ...policies.map(({ name }) => cell(name))]),
      row(['---', '---', ...policies.map(() => '---')]),
    );
    for (const category of categories) {
      lines.push(
        row([
          category,
          String(policies[0].categories?.[category].prompts),
          ...policies.map((policy) => percent(policy.categories?.[category].politeAndCorrect)),
        ]),
      );
    }
  }
  if (samples.length > 0) {
    lines.push(
      '',
      '## Samples',
      '',
      row(['prompt', ...policies.map(({ name }) => cell(name))]),
      row(['---', ...policies.map(() => '---')]),
    );
    for (const sample of samples)
      lines.push(row([cell(sample.prompt), ...sample.responses.map(({ text }) => cell(text))]));
  }
  return `${lines.join('\n')}\n`;
}
