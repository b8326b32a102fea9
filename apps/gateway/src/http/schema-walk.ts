import { z } from 'zod';

/** Steps inside defaults, optionals and the like. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault
  ) {
    return unwrap(schema.def.innerType);
  }
  return schema;
}

/** The objects that a value may be meant as: of a discriminated union, those that its discriminator allows. */
function objectsOf(schema: z.core.$ZodType, value: unknown): z.ZodObject[] {
  const bare = unwrap(schema);
  if (bare instanceof z.ZodObject) return [bare];
  if (!(bare instanceof z.ZodUnion)) return [];
  const options = bare.options.flatMap((option) => objectsOf(option, value));
  if (!(bare instanceof z.ZodDiscriminatedUnion)) return options;
  const { discriminator } = bare.def;
  const chosen = (value as Record<string, unknown> | undefined)?.[discriminator];
  const matching = options.filter((option) => option.shape[discriminator].safeParse(chosen).success);
  return matching.length > 0 ? matching : options;
}

export interface Place {
  /** What may stand there. */
  readonly schema: z.core.$ZodType | undefined;
  /** Names of the fields that an object there may have. */
  readonly keys: readonly string[];
}

/** What a schema says about the place in a value that a path points to. */
export function placeAt(schema: z.core.$ZodType, value: unknown, path: readonly PropertyKey[]): Place {
  const [head, ...rest] = path;
  if (head === undefined) {
    return { schema, keys: [...new Set(objectsOf(schema, value).flatMap((object) => Object.keys(object.shape)))] };
  }
  const bare = unwrap(schema);
  const inner = (value as Record<PropertyKey, unknown> | null | undefined)?.[head];
  if (bare instanceof z.ZodArray) return placeAt(bare.element, inner, rest);
  const next = objectsOf(bare, value).find((object) => Object.hasOwn(object.shape, head));
  return next === undefined ? { schema: undefined, keys: [] } : placeAt(next.shape[String(head)], inner, rest);
}

/** The sentence that describes a schema, also where a default wraps it. */
export function descriptionOf(schema: z.core.$ZodType | undefined): string | undefined {
  if (schema === undefined) return undefined;
  const own = z.globalRegistry.get(schema)?.description;
  const inner = unwrap(schema);
  return own ?? (inner === schema ? undefined : z.globalRegistry.get(inner)?.description);
}
