import { openStore } from '@pavlov/checkpoint-store';
import { completionRequest, completion } from '@pavlov/contracts';
import { computesBfloat16 } from '@pavlov/kernels';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Completer, createCompleter, roomFor } from './complete';
import { publishModel } from './fixtures/models';

describe('roomFor', () => {
  const asked = { promptTokens: 20, maxNewTokens: 8, n: 2, contextLength: 64 };

  it('rounds prompts up, so that one compiled generator serves many lengths', () => {
    expect(roomFor(asked)).toEqual({ batch: 2, maxPromptTokens: 32, maxNewTokens: 8 });
    expect(roomFor({ ...asked, promptTokens: 17 })).toEqual(roomFor(asked));
  });

  it('never reaches beyond the context, which cuts the answer', () => {
    expect(roomFor({ ...asked, promptTokens: 50 })).toEqual({ batch: 2, maxPromptTokens: 56, maxNewTokens: 8 });
    expect(roomFor({ ...asked, promptTokens: 60 })).toEqual({ batch: 2, maxPromptTokens: 60, maxNewTokens: 4 });
    expect(() => roomFor({ ...asked, promptTokens: 64 })).toThrow(
      'The prompt has 64 tokens; the context of the model holds 64',
    );
  });
});

describe('completer', () => {
  let root: string;
  let completer: Completer;
  const ask = (request = {}) =>
    completer.complete(completionRequest.parse({ checkpoint: 'a-1', prompt: 'What is the colour?', ...request }));

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'pavlov-inference-'));
    const store = openStore({ root });
    await publishModel(store, { id: 'a-1', seed: 1 });
    for (const [index, id] of ['b-1', 'c-1', 'd-1', 'e-1'].entries())
      await publishModel(store, { id, seed: 2 + index });
    await publishModel(store, { id: 'reward-1', seed: 3, kind: 'reward-model' });
    completer = createCompleter({ store, threads: 1 });
  });
  afterAll(async () => {
    completer[Symbol.dispose]();
    await rm(root, { recursive: true });
  });

  it('answers as often as asked, with what the contract promises', async () => {
    const answered = await ask({ n: 3, temperature: 1, maxNewTokens: 12 });
    expect(completion.parse(answered)).toEqual(answered);
    expect(answered.choices).toHaveLength(3);
    for (const { tokens, finish, logprob } of answered.choices) {
      expect(finish === 'length' ? tokens : 12).toBe(12);
      expect(logprob).toBeLessThan(0);
    }
    expect(new Set(answered.choices.map(({ text }) => text)).size).toBe(3);
  });

  it('says the same for the same seed, something else for another, and the same always when greedy', async () => {
    const texts = async (request: object) =>
      (await ask({ n: 2, temperature: 1, ...request })).choices.map(({ text }) => text);
    expect(await texts({ seed: 5 })).toEqual(await texts({ seed: 5 }));
    expect(await texts({ seed: 5 })).not.toEqual(await texts({ seed: 6 }));
    const [one, other] = await texts({ temperature: 0 });
    expect(one).toBe(other);
    expect(await texts({ temperature: 0, seed: 6 })).toEqual([one, one]);
    expect(await texts({ topK: 1, seed: 7 })).toEqual([one, one]);
  });

  it('takes a prompt for one message of the user, and continues conversations', async () => {
    const messages = [{ role: 'user' as const, content: 'What is the colour?' }];
    const [byPrompt, byMessages] = [await ask(), await ask({ prompt: undefined, messages })];
    expect(byMessages.choices).toEqual(byPrompt.choices);
    const longer = await ask({
      prompt: undefined,
      messages: [...messages, { role: 'assistant', content: 'Blue.' }, { role: 'user', content: 'Why?' }],
    });
    expect(longer.promptTokens).toBeGreaterThan(byPrompt.promptTokens);
  });

  it('answers from the checkpoint that is named', async () => {
    const [a, b] = [await ask({ maxNewTokens: 16 }), await ask({ checkpoint: 'b-1', maxNewTokens: 16 })];
    expect(b.choices[0].text).not.toBe(a.choices[0].text);
    expect((await ask({ maxNewTokens: 16 })).choices).toEqual(a.choices);
  });

  it('cuts an answer at the end of the context', async () => {
    const { promptTokens, choices } = await ask({ maxNewTokens: 4096, temperature: 1 });
    expect(promptTokens + choices[0].tokens).toBeLessThanOrEqual(64);
  });

  describe('with weights in 8 bits', () => {
    const inInt8 = { weights: 'int8', temperature: 1, maxNewTokens: 8, n: 4 };

    it('says the same for the same seed, and nearly what the checkpoint says', async () => {
      const { choices: int8 } = await ask(inInt8);
      const { choices: float32 } = await ask({ ...inInt8, weights: 'float32' });
      expect((await ask(inInt8)).choices).toEqual(int8);
      expect((await ask({ ...inInt8, seed: 6 })).choices).not.toEqual(int8);
      int8.forEach(({ text, logprob }, index) => {
        expect(text).toBe(float32[index].text);
        expect(logprob).toBeCloseTo(float32[index].logprob, 1);
        expect(logprob).not.toBe(float32[index].logprob);
      });
    });

    it('answers from the checkpoint that is named, also once others had to make room for it', async () => {
      const [a, b] = [await ask(inInt8), await ask({ ...inInt8, checkpoint: 'b-1' })];
      expect(b.choices).not.toEqual(a.choices);
      // They share a generator, so the one in 8 bits stays while its checkpoint goes.
      for (const checkpoint of ['b-1', 'c-1', 'd-1', 'e-1']) await ask({ ...inInt8, checkpoint, weights: 'float32' });
      expect((await ask(inInt8)).choices).toEqual(a.choices);
    });

    it('knows no other numbers of bits', () => {
      const asked = { checkpoint: 'a-1', prompt: 'What is the colour?', weights: 'int4' };
      expect(completionRequest.safeParse(asked).error?.issues).toMatchObject([{ path: ['weights'] }]);
    });
  });

  describe('in bfloat16', () => {
    const inBfloat16 = { weights: 'bfloat16', temperature: 1, maxNewTokens: 8, n: 4 };

    function describeAnswers(): void {
      it('says the same for the same seed, and nearly what the checkpoint says', async () => {
        const { choices: bfloat16 } = await ask(inBfloat16);
        const { choices: float32 } = await ask({ ...inBfloat16, weights: 'float32' });
        expect((await ask(inBfloat16)).choices).toEqual(bfloat16);
        expect((await ask({ ...inBfloat16, seed: 6 })).choices).not.toEqual(bfloat16);
        bfloat16.forEach(({ text, logprob }, index) => {
          expect(text).toBe(float32[index].text);
          expect(logprob).toBeCloseTo(float32[index].logprob, 1);
        });
        expect(bfloat16.map(({ logprob }) => logprob)).not.toEqual(float32.map(({ logprob }) => logprob));
      });

      it('answers from the checkpoint that is named', async () => {
        const [a, b] = [await ask(inBfloat16), await ask({ ...inBfloat16, checkpoint: 'b-1' })];
        expect(b.choices).not.toEqual(a.choices);
        expect((await ask(inBfloat16)).choices).toEqual(a.choices);
      });
    }

    if (computesBfloat16()) describeAnswers();
    else
      it('refuses on this machine, whose processor cannot', async () => {
        await expect(ask(inBfloat16)).rejects.toMatchObject({
          code: 'PRECISION_UNAVAILABLE',
          body: { field: 'weights' },
        });
      });
  });

  it.each([
    ['SEQUENCE_TOO_LONG', { prompt: 'word '.repeat(100) }],
    ['CHECKPOINT_NOT_FOUND', { checkpoint: 'gone-1' }],
    ['CHECKPOINT_WRONG_KIND', { checkpoint: 'reward-1' }],
  ])('refuses with %s', async (code, request) => {
    await expect(ask(request)).rejects.toMatchObject({ code });
  });
});
