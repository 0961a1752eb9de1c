import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../src/download.js';
import { eventTypes, sha256, uuid7 } from '../src/index.js';
import { backOff } from '../src/retry.js';
import { sha256Plain } from '../src/sha256.js';

describe('sha256', () => {
  for (const length of [0, 1, 3, 55, 56, 57, 63, 64, 65, 119, 120, 1000, 100_003]) {
    it(`is that of node:crypto for ${length} bytes`, async () => {
      const bytes = new Uint8Array(length).map((_, i) => (i * 31 + (i >> 8)) & 0xff);
      const want = createHash('sha256').update(bytes).digest('hex');
      expect(sha256Plain(bytes)).toBe(want);
      expect(await sha256(bytes)).toBe(want);
    });
  }
});

describe('uuid7', () => {
  it('has version, variant and time in order', () => {
    const now = Date.UTC(2026, 10, 22, 10, 0, 0, 123);
    const id = uuid7(now);
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(now);
    expect(uuid7(now + 1) > id).toBe(true);
    expect(uuid7(now)).not.toBe(id);
  });
});

describe('backOff', () => {
  it('doubles to the cap and is spread over all of it', () => {
    const top = (attempt: number): number => backOff(attempt, 250, 8000, () => 1);
    expect([1, 2, 3, 4, 5, 6, 40].map(top)).toEqual([500, 1000, 2000, 4000, 8000, 8000, 8000]);
    expect(backOff(9, 250, 8000, () => 0)).toBe(0);
  });
});

describe('digestOf', () => {
  const hex = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
  const field = `sha-256=:${Buffer.from(hex, 'hex').toString('base64')}:`;
  it.each([
    [field, hex],
    [`sha-512=:AAAA:, ${field}`, hex],
    ['sha-512=:AAAA:', undefined],
    ['sha-256=AAAA', undefined],
    [null, undefined],
  ])('%s', (text, want) => expect(digestOf(text)).toBe(want));
});

describe('the event types', () => {
  it('are those of proto/scan/event.go', () => {
    const source = readFileSync(new URL('../../../proto/scan/event.go', import.meta.url), 'utf8');
    const names = [...source.matchAll(/EventType\s+=\s+"([a-z-]+)"/g)].map((match) => match[1]);
    expect(names.length).toBeGreaterThan(5);
    expect([...eventTypes].sort()).toEqual(names.sort());
  });
});
