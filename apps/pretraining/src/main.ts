import { join } from 'node:path';
import { runStageService } from '@pavlov/service-kit';

void runStageService({ stage: 'pretraining', trainerPath: join(__dirname, 'trainer.js') });
