import { openStore } from '@pavlov/checkpoint-store';
import { toPavlovError } from '@pavlov/service-kit';
import { createCompleter } from './complete';
import { type Answer, type ProcessOptions, type Question } from './protocol';

/** The process that runs the models: computing blocks its event loop, which must not be the service's. */
function main(): void {
  const { storeRoot, threads } = JSON.parse(process.argv[2]) as ProcessOptions;
  const completer = createCompleter({ store: openStore({ root: storeRoot }), threads });
  const answer = async ({ request }: Question): Promise<Answer> => {
    try {
      return { completion: await completer.complete(request) };
    } catch (thrown) {
      return { error: toPavlovError(thrown).body, stack: thrown instanceof Error ? thrown.stack : undefined };
    }
  };
  process.on('message', (question: Question) => void answer(question).then((reply) => process.send?.(reply)));
}

// A Ctrl-C or a service manager signals the whole group; the service ends this process when it is done with it.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.once('disconnect', () => process.exit(0)); // the service is gone
main();
