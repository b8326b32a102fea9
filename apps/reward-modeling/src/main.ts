import { join } from 'node:path';
import { runStageService } from '@pavlov/service-kit';

void runStageService({ stage: 'reward-modeling', trainerPath: join(__dirname, 'trainer.js') });
