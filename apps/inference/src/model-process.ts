import { type Completion, type CompletionRequest, PavlovError } from '@pavlov/contracts';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type Answer, type ProcessOptions, type Question } from './protocol';

/** The models of a service, in a process of their own: a crash or an out-of-memory kill does not take the service along. */
export interface ModelProcess {
  /**
   * Asks one question; the process is started for it if there is none. When nobody waits any more, the process is killed:
   * there is no other way to stop what it computes.
   *
   * @throws PavlovError what the process answers; SERVICE_UNAVAILABLE if it dies; TIMEOUT
   */
  ask(request: CompletionRequest, deadline: number): Promise<Completion>;
  stop(): Promise<void>;
}

export interface ModelProcessOptions extends ProcessOptions {
  /** The compiled `completer.js`. */
  readonly path: string;
  readonly onOutput: (line: string) => void;
}

const died = (how: string): PavlovError =>
  new PavlovError({
    code: 'SERVICE_UNAVAILABLE',
    message: `The process that runs the models died: ${how}.`,
    hint: 'Ask again; if it dies again, the machine may have too little memory for this model.',
  });

export const timedOut = (): PavlovError =>
  new PavlovError({
    code: 'TIMEOUT',
    message: 'There was no answer in time.',
    hint: 'Ask for fewer tokens or answers, or ask again when less is going on.',
  });

export function createModelProcess({ path, storeRoot, threads, onOutput }: ModelProcessOptions): ModelProcess {
  let running: ChildProcess | undefined;

  function start(): ChildProcess {
    const options: ProcessOptions = { storeRoot, threads };
    const stdio = ['ignore', 'pipe', 'pipe', 'ipc'] as const;
    const child = fork(path, [JSON.stringify(options)], { stdio: [...stdio], serialization: 'advanced' });
    for (const output of [child.stdout, child.stderr])
      output?.on('data', (data: Buffer) => onOutput(data.toString().trim()));
    child.on('error', () => undefined); // told by its exit
    child.once('exit', () => {
      if (running === child) running = undefined;
    });
    return child;
  }

  async function answerOf(child: ChildProcess, question: Question): Promise<Completion> {
    const left = new AbortController();
    const { signal } = left;
    const answered = once(child, 'message', { signal }).then(([answer]) => answer as Answer);
    const ended = once(child, 'exit', { signal }).then(([code, killedBy]) =>
      Promise.reject(died(killedBy ?? `exit code ${code}`)),
    );
    child.send(question, () => undefined); // a process that is gone tells by its exit
    try {
      const answer = await Promise.race([answered, ended]);
      if ('completion' in answer) return answer.completion;
      const cause = new Error(answer.error.message);
      cause.stack = answer.stack;
      throw new PavlovError(answer.error, { cause });
    } finally {
      answered.catch(() => undefined);
      ended.catch(() => undefined);
      left.abort();
    }
  }

  return {
    async ask(request, deadline) {
      const child = (running ??= start());
      let late = false;
      const patience = setTimeout(() => {
        late = true;
        child.kill('SIGKILL');
      }, deadline - Date.now());
      try {
        return await answerOf(child, { request });
      } catch (error) {
        throw late ? timedOut() : error;
      } finally {
        clearTimeout(patience);
      }
    },
    async stop() {
      const child = running;
      if (child === undefined) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL'); // it holds nothing that could be lost
      await ended;
    },
  };
}
