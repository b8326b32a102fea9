import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The services of a full installation, in the order they are started. */
export const services = [
  'gateway',
  'pretraining',
  'sft',
  'feedback',
  'reward-modeling',
  'ppo',
  'evaluation',
  'inference',
] as const;
export type Service = (typeof services)[number];

export interface RunningServices {
  /** Address of each service, e.g. `http://127.0.0.1:7280`. */
  readonly addresses: Readonly<Record<Service, string>>;
  readonly logFolder: string;
  /** Resolves when a service has ended that nobody asked to end. */
  readonly broken: Promise<Error>;
  /** Asks every service to finish and waits until all have. */
  stop(): Promise<void>;
  /** Lets this process end while the services go on; `stopServices` ends them later. */
  leave(): void;
}

/** `wanted` if nothing listens there, else any free port. */
export async function freePort(wanted: number): Promise<number> {
  const tryPort = (port: number): Promise<number | undefined> =>
    new Promise((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(undefined));
      server.listen(port, '127.0.0.1', () => {
        const address = server.address();
        server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
      });
    });
  return (await tryPort(wanted)) ?? (await tryPort(0)) ?? wanted;
}

async function waitUntilReady(address: string, failed: () => Error | undefined): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const error = failed();
    if (error) throw error;
    const ready = await fetch(`${address}/readyz`).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) return;
    if (Date.now() > deadline) throw new Error(`The service at ${address} was not ready within 60 s.`);
    await sleep(100);
  }
}

const pidFile = (home: string): string => join(home, 'services.json');

/** Ends the services that an earlier command left running in this home. Returns how many there were. */
export async function stopServices(home: string): Promise<number> {
  let pids: number[];
  try {
    pids = JSON.parse(readFileSync(pidFile(home), 'utf8')) as number[];
  } catch {
    return 0;
  }
  const running = pids.filter(isService);
  await endProcesses(running);
  rmSync(pidFile(home), { force: true });
  return running.length;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Pids are used again: one of a process that is not ours must not be ended. */
function isService(pid: number): boolean {
  if (!isRunning(pid)) return false;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('main.js');
  } catch {
    return process.platform !== 'linux';
  }
}

/** SIGTERM, then SIGKILL for those that are still there after 20 s. */
async function endProcesses(pids: readonly number[]): Promise<void> {
  const left = (): number[] => pids.filter(isRunning);
  for (const pid of left()) process.kill(pid, 'SIGTERM');
  for (const deadline = Date.now() + 20_000; left().length > 0 && Date.now() < deadline;) await sleep(50);
  for (const pid of left()) process.kill(pid, 'SIGKILL');
}

export interface StartOptions {
  /** Folder with one bundle per service: `<folder>/<service>/main.js`. */
  readonly bundles: string;
  readonly home: string;
  readonly redisUrl: string;
  /** The other services take the ports that follow; one that is taken is replaced by any free one, and so is 0. */
  readonly gatewayPort: number;
}

/** Starts every service as a process of its own and waits until all are ready. Their logs go to files. */
export async function startServices({ bundles, home, redisUrl, gatewayPort }: StartOptions): Promise<RunningServices> {
  const logFolder = join(home, 'logs');
  mkdirSync(logFolder, { recursive: true });
  const children = new Map<Service, ChildProcess>();
  const addresses = {} as Record<Service, string>;
  let stopping = false;
  let failure: Error | undefined;
  let reportBroken: (error: Error) => void = () => undefined;
  const broken = new Promise<Error>((resolve) => (reportBroken = resolve));

  const stop = async (): Promise<void> => {
    stopping = true;
    await endProcesses([...children.values()].flatMap(({ pid }) => (pid === undefined ? [] : [pid])));
    rmSync(pidFile(home), { force: true });
  };
  const leave = (): void => {
    stopping = true;
    for (const child of children.values()) child.unref();
  };

  for (const service of services) {
    const port = await freePort(gatewayPort === 0 ? 0 : gatewayPort + services.indexOf(service));
    addresses[service] = `http://127.0.0.1:${port}`;
    // Straight into a file: a pipe would break when this process leaves the services behind.
    const log = openSync(join(logFolder, `${service}.log`), 'a');
    const child = spawn(process.execPath, ['--enable-source-maps', join(bundles, service, 'main.js')], {
      env: { ...process.env, REDIS_URL: redisUrl, PAVLOV_HOME: home, PORT: String(port), HOST: '127.0.0.1' },
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    child.once('exit', (code, signal) => {
      if (stopping) return;
      failure = new Error(
        `${service} ended (${signal ?? `exit code ${code}`}). Its log: ${join(logFolder, `${service}.log`)}`,
      );
      reportBroken(failure);
    });
    children.set(service, child);
  }
  writeFileSync(pidFile(home), JSON.stringify([...children.values()].map(({ pid }) => pid)));
  try {
    await Promise.all(services.map((service) => waitUntilReady(addresses[service], () => failure)));
  } catch (error) {
    await stop();
    throw error;
  }
  return { addresses, logFolder, broken, stop, leave };
}
