import { join } from 'node:path';
import { runStageService } from '@pavlov/service-kit';

void runStageService({ stage: 'sft', trainerPath: join(__dirname, 'trainer.js') });
