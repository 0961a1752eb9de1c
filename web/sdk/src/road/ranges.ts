interface Part {
  start: number;
  end: number; // of the last byte
  total: number | undefined;
}

/** A Content-Range with a first byte. */
export function contentRange(field: string | null): Part | undefined {
  const m = /^bytes ([0-9]{1,15})-([0-9]{1,15})\/([0-9]{1,15}|\*)$/.exec(field ?? '');
  if (!m) return undefined;
  const part = { start: Number(m[1]), end: Number(m[2]), total: m[3] === '*' ? undefined : Number(m[3]) };
  return part.start <= part.end && (part.total === undefined || part.end < part.total) ? part : undefined;
}

/** An ETag under which all bytes are the same. */
export function strongETag(headers: Headers): string | undefined {
  const tag = headers.get('ETag');
  return tag && /^"[^"]*"$/.test(tag) ? tag : undefined;
}
