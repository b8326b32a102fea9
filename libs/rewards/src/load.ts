import { PavlovError } from '@pavlov/contracts';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { builtInRewards } from './built-in';
import { type RewardFunction, type RewardFunctions } from './reward-function';

/** Names the JavaScript module with a user's reward functions. */
const variable = 'PAVLOV_REWARDS';

/**
 * The built-in reward functions, and those that a JavaScript module exports by name.
 *
 * @param modulePath CommonJS or ES module, absolute or relative to the working directory. By default what the environment
 *   variable PAVLOV_REWARDS names; only the built-in functions where it is unset or empty.
 * @throws PavlovError INVALID_REQUEST if the module cannot be loaded, exports no function by name, or takes a built-in's name
 */
export async function loadRewardFunctions(modulePath = process.env[variable]): Promise<RewardFunctions> {
  if (modulePath === undefined || modulePath === '') return builtInRewards;
  const path = resolve(modulePath);
  return withBuiltIns(exportedFunctions(await load(path)), path);
}

async function load(path: string): Promise<object> {
  try {
    return (await import(pathToFileURL(path).href)) as object;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw refusal(`The reward functions of ${path} cannot be loaded: ${reason}`, error);
  }
}

/** The functions of a module by name. Node does not find every name that a CommonJS module exports; `default` has all. */
function exportedFunctions(module: { readonly default?: unknown }): [string, RewardFunction][] {
  const { default: whole, ...named } = module;
  const exported = { ...(typeof whole === 'object' ? whole : {}), ...named };
  return Object.entries(exported).filter(
    (entry): entry is [string, RewardFunction] => typeof entry[1] === 'function' && entry[0] !== 'module.exports',
  );
}

function withBuiltIns(functions: readonly [string, RewardFunction][], path: string): RewardFunctions {
  if (functions.length === 0) throw refusal(`${path} exports no reward function by name.`);
  const taken = functions.map(([name]) => name).filter((name) => builtInRewards.has(name));
  if (taken.length > 0)
    throw refusal(`${path} exports “${taken.join('”, “')}”: a reward function that is built in has that name.`);
  return new Map([...builtInRewards, ...functions]);
}

const refusal = (message: string, cause?: unknown): PavlovError =>
  new PavlovError(
    {
      code: 'INVALID_REQUEST',
      field: variable,
      message,
      hint: `Correct the module that ${variable} names, or leave the variable out; see docs/stages/rewards.md.`,
    },
    { cause },
  );
