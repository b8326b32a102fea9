import { createEngine, type Engine } from '@pavlov/tensor';
import { tolerances } from '@pavlov/testing';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { floatsOf, type EncodedArray } from '../fixture';
import { continuationsOf, logitsOf, openModel, publishOurs, rewardsOf } from './our-models';
import { createReport, type Report } from './report';
import { conversations, corpus, texts } from './texts';

const maxNewTokens = 12;

/** What transformers_side.py answers. */
interface TokenizerAnswer {
  readonly size: number;
  readonly eosId: number;
  readonly padId: number;
  /** Ids of each text, special tokens cut up like any other. */
  readonly plain: number[][];
  readonly withSpecialTokens: number[][];
  readonly decoded: string[];
  readonly decodedWithoutSpecialTokens: string[];
  readonly rendered: string[];
  readonly prompts: number[][];
  readonly answered: number[][];
}
interface ModelAnswer {
  readonly class: string;
  /** Tensors that were missing, of another shape, or too many. */
  readonly problems: string[];
  readonly activation: string;
  readonly sequences: number[][];
}
interface LanguageModelAnswer extends ModelAnswer {
  readonly tied: boolean;
  readonly logits: EncodedArray[];
  readonly likeliest: number[][];
}
interface RewardModelAnswer extends ModelAnswer {
  readonly scores: EncodedArray;
}
interface Answer {
  readonly versions: Readonly<Record<string, string>>;
  readonly ours: {
    readonly policy: { readonly tokenizer: TokenizerAnswer; readonly model: LanguageModelAnswer };
    readonly reward: { readonly tokenizer: TokenizerAnswer; readonly model: RewardModelAnswer };
    readonly secondMember: { readonly model: RewardModelAnswer };
  };
  readonly theirs: {
    readonly 'language-model': { readonly tokenizer: TokenizerAnswer; readonly model: LanguageModelAnswer };
    readonly 'reward-model': { readonly tokenizer: TokenizerAnswer; readonly model: RewardModelAnswer };
    readonly 'first-released': { readonly model: LanguageModelAnswer };
  };
}

type Opened = Awaited<ReturnType<typeof openModel>>;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** Run by run.sh from the project's folder. */
async function main(): Promise<number> {
  const { values } = parseArgs({ options: { python: { type: 'string', default: 'python3' } } });
  const folder = mkdtempSync(join(tmpdir(), 'pavlov-interop-'));
  const engine = await createEngine({ threads: 2 });
  try {
    await publishOurs(folder);
    const answer = await askTransformers(folder, values.python);
    print(
      Object.entries({ node: process.version, ...answer.versions })
        .flat()
        .join(' '),
    );
    const report = createReport(print);
    await checkOurs({ engine, folder, report }, answer.ours);
    await checkTheirs({ engine, folder, report }, answer.theirs);
    const failed = report.rows.filter(({ passed }) => !passed).length;
    print(`\n${report.rows.length - failed} checks passed, ${failed} failed`);
    return failed === 0 ? 0 : 1;
  } finally {
    engine.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lays the request into the folder, runs the Python half there, and reads its answer. */
async function askTransformers(folder: string, python: string): Promise<Answer> {
  const { tokenizer, config } = await openModel(join(folder, 'ours', 'policy'));
  const prompts = conversations.map(({ messages }) => tokenizer.encodePrompt(messages));
  const sequences = [...prompts, ...texts.filter((text) => text !== '').map((text) => tokenizer.encode(text))]
    .slice(0, 40)
    .map((sequence) => sequence.slice(0, config.contextLength));
  const short = prompts.filter(({ length }) => length + maxNewTokens <= config.contextLength);
  const request = { texts, corpus, conversations, sequences, prompts: short, maxNewTokens };
  writeFileSync(join(folder, 'request.json'), JSON.stringify(request));
  const script = join(folder, 'transformers_side.py');
  copyFileSync(join(process.cwd(), 'tests', 'golden', 'interop', 'transformers_side.py'), script);
  const { status } = spawnSync(`${python} '${script}'`, { shell: true, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0)
    throw new Error(`\`${python}\` failed; it must run a file under Python with torch and transformers`);
  return JSON.parse(readFileSync(join(folder, 'answer.json'), 'utf8')) as Answer;
}

interface Place {
  readonly engine: Engine;
  readonly folder: string;
  readonly report: Report;
}

async function checkOurs({ engine, folder, report }: Place, ours: Answer['ours']): Promise<void> {
  const { policy, reward, secondMember } = ours;
  report.heading('Pavlov → transformers: a policy');
  const ourPolicy = await openModel(join(folder, 'ours', 'policy'));
  report.equal('opens with AutoModelForCausalLM', policy.model.class, 'GPT2LMHeadModel');
  report.equal('every tensor has its place, and none is missing', policy.model.problems, []);
  report.equal('the output map is the embedding', policy.model.tied, true);
  report.equal('the activation is the tanh form of GELU', policy.model.activation, 'gelu_new');
  await checkLogits({ engine, report }, { answer: policy.model, opened: ourPolicy });
  report.equalItems(
    'the likeliest answers are the same',
    await continuationsOf(engine, ourPolicy, {
      prompts: conversations
        .map(({ messages }) => ourPolicy.tokenizer.encodePrompt(messages))
        .filter(({ length }) => length + maxNewTokens <= ourPolicy.config.contextLength),
      maxNewTokens,
      eosId: ourPolicy.tokenizer.eosId,
    }),
    policy.model.likeliest,
  );
  checkTokenizer(report, policy.tokenizer, ourPolicy);

  report.heading('Pavlov → transformers: a reward model, an ensemble of two');
  const ourReward = await openModel(join(folder, 'ours', 'reward'));
  report.equal('opens with AutoModelForSequenceClassification', reward.model.class, 'GPT2ForSequenceClassification');
  report.equal('every tensor has its place, and none is missing', reward.model.problems, []);
  await checkRewards({ engine, report }, { answer: reward.model, opened: ourReward });
  checkTokenizer(report, reward.tokenizer, ourReward);
  const root = join(folder, 'ours', 'reward');
  const second = await openModel(root, join(root, 'members', '2'));
  report.equal('the second member opens by itself', secondMember.model.problems, []);
  await checkRewards({ engine, report }, { answer: secondMember.model, opened: second });
}

async function checkTheirs({ engine, folder, report }: Place, theirs: Answer['theirs']): Promise<void> {
  const open = (name: string): Promise<Opened> => openModel(join(folder, 'theirs', name));

  report.heading('transformers → Pavlov: a language model');
  const languageModel = await open('language-model');
  await checkLogits({ engine, report }, { answer: theirs['language-model'].model, opened: languageModel });
  checkTokenizer(report, theirs['language-model'].tokenizer, languageModel);

  report.heading('transformers → Pavlov: a classifier with one label');
  const rewardModel = await open('reward-model');
  await checkRewards({ engine, report }, { answer: theirs['reward-model'].model, opened: rewardModel });
  checkTokenizer(report, theirs['reward-model'].tokenizer, rewardModel);

  report.heading('transformers → Pavlov: files as GPT-2 was first released, with a PAD token');
  await checkLogits(
    { engine, report },
    { answer: theirs['first-released'].model, opened: await open('first-released') },
  );

  report.heading('transformers → Pavlov: what cannot be run here is refused');
  const refused = [
    ['no-pad', 'no PAD token, as in the first GPT-2', 'CHECKPOINT_CORRUPT', 'pad_token'],
    ['pad-is-eos', 'EOS for PAD', 'CHECKPOINT_CORRUPT', 'pad_token equals eos_token'],
    ['half-precision', 'float16', 'CHECKPOINT_CORRUPT', 'only F32'],
    ['sharded', 'weights in several files', 'CHECKPOINT_CORRUPT', 'model.safetensors is missing'],
    ['untied', 'an output map of its own', 'CHECKPOINT_WRONG_KIND', 'tie_word_embeddings'],
    ['relu', 'another activation', 'CHECKPOINT_WRONG_KIND', 'activation_function'],
    ['two-labels', 'a classifier with two labels', 'CHECKPOINT_WRONG_KIND', 'one label'],
  ] as const;
  for (const [name, what, code, says] of refused) await report.refused(what, () => open(name), { code, says });
}

async function checkLogits(
  { engine, report }: Omit<Place, 'folder'>,
  { answer, opened }: { answer: LanguageModelAnswer; opened: Opened },
): Promise<void> {
  const actual = await logitsOf(engine, opened, answer.sequences);
  // PAD has a logit of its own only there.
  const { vocabSize, padId } = opened.config;
  const spoken = (logits: readonly Float32Array[]): number[] =>
    logits.flatMap((rows) => Array.from(rows).filter((_, index) => index % vocabSize !== padId));
  report.close(`logits of ${answer.sequences.length} sequences, but for PAD`, {
    actual: spoken(actual),
    expected: spoken(answer.logits.map(floatsOf)),
    tolerance: tolerances.interop,
  });
}

async function checkRewards(
  { engine, report }: Omit<Place, 'folder'>,
  { answer, opened }: { answer: RewardModelAnswer; opened: Opened },
): Promise<void> {
  report.close(`rewards of ${answer.sequences.length} sequences`, {
    actual: await rewardsOf(engine, opened, answer.sequences),
    expected: floatsOf(answer.scores),
    tolerance: tolerances.interop,
  });
}

function checkTokenizer(report: Report, answer: TokenizerAnswer, { tokenizer }: Opened): void {
  const { vocabSize, eosId, padId } = tokenizer;
  report.equal('tokenizer: size, EOS, PAD', [vocabSize, eosId, padId], [answer.size, answer.eosId, answer.padId]);
  const encoded = texts.map((text) => tokenizer.encode(text));
  const spells = texts.map((text) => text.includes('<|endoftext|>') || text.includes('<|pad|>'));
  report.equalItems('tokenizer: ids of texts', encoded, answer.plain);
  report.equalItems(
    'tokenizer: ids where no special token is spelt, by default',
    encoded.filter((_, index) => !spells[index]),
    answer.withSpecialTokens.filter((_, index) => !spells[index]),
  );
  const framed = encoded.map((ids) => [eosId, ...ids, padId]);
  report.equalItems(
    'tokenizer: text of ids',
    framed.map((ids) => tokenizer.decode(ids)),
    answer.decoded,
  );
  report.equalItems(
    'tokenizer: text of ids without special tokens',
    framed.map((ids) => tokenizer.decode(ids, { skipSpecialTokens: true })),
    answer.decodedWithoutSpecialTokens,
  );
  report.equalItems(
    'chat template: text of conversations',
    conversations.map(({ messages }) => tokenizer.renderPrompt(messages)),
    answer.rendered,
  );
  report.equalItems(
    'chat template: ids of conversations',
    conversations.map(({ messages }) => tokenizer.encodePrompt(messages)),
    answer.prompts,
  );
  report.equalItems(
    'chat template: ids with the answer',
    conversations.map(({ messages, answer }) => [
      ...tokenizer.encodePrompt(messages),
      ...tokenizer.encodeCompletion(answer),
    ]),
    answer.answered,
  );
}

main().then(
  (status) => (process.exitCode = status),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = 1;
  },
);
