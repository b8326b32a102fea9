import { runTrainer } from '@pavlov/service-kit';
import { train } from './train';

runTrainer('pretraining', train);
