import { runTrainer } from '@pavlov/service-kit';
import { train } from './train';

runTrainer('reward-modeling', train);
