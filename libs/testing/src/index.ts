export { bundle, type Bundle } from './bundle';
export { startTestRedis, type TestRedis } from './redis';
export { installMatchers, toBeAllClose } from './matchers';
export { finiteDifferenceStep, tolerances, type Tolerance } from './tolerances';
export { createTrainerContext, type TestTrainerContext } from './trainer-context';
export { publishRows } from './datasets';
