import { join } from 'node:path';
import { runStageService } from '@pavlov/service-kit';

void runStageService({ stage: 'ppo', trainerPath: join(__dirname, 'trainer.js') });
