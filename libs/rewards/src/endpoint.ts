import { PavlovError } from '@pavlov/contracts';
import { hash32, randomStream } from '@pavlov/random';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type RewardSource, type ScoreOptions } from './reward';
import { type Answer } from './reward-function';
import { excerpt } from './rewards-of';

type EndpointSource = Extract<RewardSource, { kind: 'http' }>;

export type Ask = (answers: readonly Answer[], options: ScoreOptions) => Promise<readonly unknown[]>;

/** Waits between two tries, in milliseconds: the first, the longest, and how much of it is left to chance. */
const backoff = { first: 1000, longest: 30_000, jitter: 0.2 } as const;
/** An endpoint may ask for a longer wait, up to this. */
const longestRetryAfterMs = 60_000;

const reply = z.object({ rewards: z.array(z.unknown()) });

/** A try that failed, and may succeed when it is made again. */
interface Failure {
  readonly reason: string;
  readonly retryAfterMs: number;
}

interface EndpointOptions {
  /** What errors call the endpoint: “The reward endpoint 10.0.0.7:8000”. */
  readonly giver: string;
  /** Waits between two tries; rejects when the signal fires. */
  readonly pause?: (ms: number, signal: AbortSignal | undefined) => Promise<unknown>;
}

/**
 * Asks an HTTP endpoint for rewards: one POST for all answers. Tries that took too long, met no server, or got 429 or
 * 5xx are made again after growing waits; whatever else is no list of rewards ends the asking.
 */
export function openEndpoint(
  { url, timeoutSeconds, retries }: EndpointSource,
  { giver, pause = pauseFor }: EndpointOptions,
): Ask {
  let calls = 0;
  return async (answers, { signal, onRetry }) => {
    const jitter = randomStream(hash32(url), 'rewards/backoff', [calls++]);
    const body = JSON.stringify({ answers: answers.map(asSent) });
    for (let failed = 0; ; failed++) {
      const outcome = await post({ url, body, timeoutSeconds, signal, giver });
      if ('rewards' in outcome) return outcome.rewards;
      if (failed === retries) throw unavailable(giver, { tries: failed + 1, reason: outcome.reason });
      onRetry?.(`${giver} ${outcome.reason}. Further tries: ${retries - failed}.`);
      const wait = Math.min(backoff.first * 2 ** failed, backoff.longest) * (1 + backoff.jitter * jitter.uniform());
      await pause(Math.max(wait, outcome.retryAfterMs), signal);
    }
  };
}

/** These fields and no others: what else the caller knows of an answer stays here. */
const asSent = ({ prompt, response, finished, answer, category }: Answer): Answer => ({
  prompt,
  response,
  finished,
  answer,
  category,
});

interface Post {
  readonly url: string;
  readonly body: string;
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal | undefined;
  readonly giver: string;
}

async function post({ url, body, timeoutSeconds, signal, giver }: Post): Promise<z.infer<typeof reply> | Failure> {
  signal?.throwIfAborted();
  const timeout = AbortSignal.timeout(Math.ceil(timeoutSeconds * 1000));
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body,
      redirect: 'manual', // a POST that is redirected may arrive as a GET, or at somebody else's
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
    });
    return read(response, await response.text(), giver);
  } catch (error) {
    if (error instanceof PavlovError) throw error;
    signal?.throwIfAborted();
    const reason = timeout.aborted
      ? `did not answer within ${timeoutSeconds} s`
      : `cannot be reached: ${causeOf(error)}`;
    return { reason, retryAfterMs: 0 };
  }
}

function read(response: Response, text: string, giver: string): z.infer<typeof reply> | Failure {
  const { status, headers } = response;
  const said = text.trim() === '' ? 'nothing' : `“${excerpt(text, 200)}”`;
  if (status === 429 || status >= 500)
    return { reason: `answered ${status} and said ${said}`, retryAfterMs: retryAfterMs(headers.get('retry-after')) };
  if (status >= 300 && status < 400)
    throw invalid(
      `${giver} redirects (${status}) to ${headers.get('location') ?? 'nowhere'}.`,
      'Give that address itself.',
    );
  if (!response.ok)
    throw invalid(`${giver} answered ${status} and said ${said}.`, 'See the endpoint’s own log for what it refuses.');
  const parsed = reply.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw invalid(`${giver} said ${said}.`, 'It must answer with JSON: { "rewards": [number, …] }.');
}

/** Of the header `Retry-After`, in seconds or as a date. */
function retryAfterMs(header: string | null): number {
  const ms = Number(header) * 1000 || Date.parse(header ?? '') - Date.now();
  return ms > 0 ? Math.min(ms, longestRetryAfterMs) : 0;
}

/** `fetch` hides what went wrong in its error's cause; of a host with several addresses, only a code is there. */
function causeOf(error: unknown): string {
  const { cause } = error as { cause?: { message?: string; code?: string } };
  return cause?.message || cause?.code || String(error);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function pauseFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => signal?.throwIfAborted());
}

const invalid = (message: string, hint: string): PavlovError =>
  new PavlovError({ code: 'REWARD_INVALID', message, hint });

const unavailable = (giver: string, { tries, reason }: { tries: number; reason: string }): PavlovError =>
  new PavlovError({
    code: 'REWARD_UNAVAILABLE',
    message: `${giver} ${reason}${tries > 1 ? ` (the last of ${tries} tries)` : ''}.`,
    hint: 'Start the endpoint, or give its calls more time or more retries, then retry the job.',
  });
