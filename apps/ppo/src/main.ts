import { describeRewardFunctions, loadRewardFunctions } from '@pavlov/rewards';
import { join } from 'node:path';
import { advertiseRewardFunctions, runService, startStageWorker } from '@pavlov/service-kit';

void runService('ppo', async (service) => {
  // A module that cannot be loaded ends the service here, before any job of its own does.
  await advertiseRewardFunctions(service.broker, describeRewardFunctions(await loadRewardFunctions()));
  return startStageWorker(service, { stage: 'ppo', trainerPath: join(__dirname, 'trainer.js') });
});
