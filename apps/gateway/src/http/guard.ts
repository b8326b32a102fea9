import { PavlovError } from '@pavlov/contracts';
import { type NextFunction, type Request, type Response } from 'express';

/** What every answer says to browsers. Pages loosen the content policy for themselves. */
const headers = {
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
} as const;

const safeMethods = ['GET', 'HEAD', 'OPTIONS'];

function hostOf(origin: string): string | undefined {
  try {
    return new URL(origin).host;
  } catch {
    return undefined; // `null`, from a sandboxed page
  }
}

/**
 * Keeps pages of other sites from acting through the browser of somebody who can reach the gateway: browsers send
 * uploads and empty posts across sites without asking. Programs send no Origin and are not concerned.
 */
export function guard(request: Request, response: Response, next: NextFunction): void {
  response.set(headers);
  const { origin, host } = request.headers;
  if (!safeMethods.includes(request.method) && origin !== undefined && hostOf(origin) !== host) {
    throw new PavlovError({
      code: 'FORBIDDEN_ORIGIN',
      message: `A page of ${origin} may not change anything here.`,
      hint: 'Use the pages of this gateway, or a program that is not a web page.',
    });
  }
  next();
}
