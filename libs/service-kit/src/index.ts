export { cancelJob, finalStates, pauseJob, resumeJob, retryJob } from './control';
export { type JobControl, readControl } from './control-flags';
export { parseFailure, toPavlovError } from './errors';
export { appendEvent, type EventRange, followEvents, readEvents, type StoredEvent } from './events';
export { jobErrorOf, jobStateOf } from './job-state';
export { type Broker, keys } from './keys';
export { jobDefaults, openQueue, type StageJob, type StageQueue } from './queues';
export { type BrokerOptions, openBroker, type OpenBroker } from './redis';
export { type LogLevel, type StageOutcome, type Train, type TrainerContext } from './trainer-context';
