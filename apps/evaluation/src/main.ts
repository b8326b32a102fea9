import { join } from 'node:path';
import { runStageService } from '@pavlov/service-kit';

void runStageService({ stage: 'evaluation', trainerPath: join(__dirname, 'trainer.js') });
