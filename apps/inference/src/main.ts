import { runService } from '@pavlov/service-kit';
import { join } from 'node:path';
import { startCompletionWorker } from './worker';

void runService('inference', (service) => startCompletionWorker(service, join(__dirname, 'completer.js')));
