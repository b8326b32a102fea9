import { errorBody, PavlovError } from '@pavlov/contracts';

/** A small client of the gateway: what an operator would do with curl. */
export interface Client {
  readonly address: string;
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: unknown): Promise<T>;
  upload<T>(path: string, file: { text: string; type: string }): Promise<T>;
}

async function answer<T>(response: Response): Promise<T> {
  const body: unknown = await response.json();
  if (response.ok) return body as T;
  const error = errorBody.safeParse(body);
  if (error.success) throw new PavlovError(error.data);
  throw new Error(`The gateway answered ${response.status}.`);
}

export function createClient(address: string): Client {
  const send = async <T>(path: string, init: RequestInit): Promise<T> =>
    answer<T>(await fetch(`${address}${path}`, init));
  return {
    address,
    get: (path) => send(path, {}),
    post: (path, body) =>
      send(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    upload: (path, { text, type }) => send(path, { method: 'POST', headers: { 'content-type': type }, body: text }),
  };
}
