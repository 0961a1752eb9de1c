import type { Setup, SetupChange, SetupEffect } from '@platen/sdk';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { format } from '../src/i18n/format.js';
import { eSCLAddress } from '../src/setup/escl.js';
import { effects } from '../src/setup/effects.de.js';
import { names } from '../src/setup/names.js';
import { pendingRestart } from '../src/setup/pending.js';

const read = (file: string): string => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');

describe('the settings', () => {
  const keys: string[] = [];
  let section = '';
  for (const line of read('deployments/platen.ini').split('\n')) {
    section = /^\[(\w+)\]/.exec(line)?.[1] ?? section;
    const key = /^;([A-Z][\w-]*)=/.exec(line)?.[1];
    if (key) keys.push(section === 'node' || section === 'gateway' ? key : `[${section}] ${key}`);
  }

  it('all have a name and a German text, and no other has', () => {
    expect(keys.length).toBeGreaterThan(40);
    expect(Object.keys(names).map((key) => key.replace('[gateway] ', '')).sort()).toEqual(expect.arrayContaining([...new Set(keys)].sort()));
    for (const key of Object.keys(names)) expect(keys, key).toContain(key.replace('[gateway] ', ''));
  });
});

describe('effects in German', () => {
  const source = read('internal/setup/effects.go');
  const code = (constant: string): string => constant.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase();

  it('have the slots of the English sentences', () => {
    const sentences = [...source.matchAll(/SetupEffectCode(\w+):\s+"(.+)",$/gm)];
    expect(sentences.length).toBe(Object.keys(effects).length + 2); // value and secret are said by the edits themselves
    for (const [, constant, english] of sentences) {
      const german = effects[code(constant!) as keyof typeof effects];
      if (!german) continue;
      const slots = english!.split('%s').slice(1).map((_, i) => [`v${i}`, `<${i}>`] as const);
      const text = format(german, Object.fromEntries(slots), 'de');
      for (const [, value] of slots) expect(text, constant).toContain(value);
    }
  });
});

describe('what waits for a restart', () => {
  const setup = { started: '2026-11-22T10:00:00Z', settings: [{ key: '[node] Name', restart: true }, { key: '[node] Location', restart: true }, { key: '[node] External' }] } as Setup;
  const change = (minute: number, state: SetupChange['state'], key: string, before: string, after: string): SetupChange =>
    ({ time: `2026-11-22T10:0${minute}:00Z`, state, changes: [{ key, before, after }], effects: [] as SetupEffect[] });

  it.each<[string, SetupChange[], string[]]>([
    ['nothing', [], []],
    ['a change', [change(1, 'kept', '[node] Name', '', 'a')], ['[node] Name']],
    ['one that needs none', [change(1, 'kept', '[node] External', 'FALSE', 'TRUE')], []],
    ['one before the start', [{ ...change(1, 'kept', '[node] Name', '', 'a'), time: '2026-11-22T09:59:00Z' }], []],
    ['one that went back by itself', [change(1, 'reverted', '[node] Name', '', 'a')], []],
    ['one that was undone', [change(2, 'kept', '[node] Name', 'a', ''), change(1, 'undone', '[node] Name', '', 'a')], []],
    ['two of one key', [change(2, 'kept', '[node] Name', 'a', 'b'), change(1, 'kept', '[node] Name', '', 'a')], ['[node] Name']],
    ['two keys', [change(2, 'kept', '[node] Location', '', 'b'), change(1, 'kept', '[node] Name', '', 'a')], ['[node] Name', '[node] Location']],
  ])('%s', (_name, changes, want) => expect(pendingRestart(setup, changes)).toEqual(want));
});

describe('the address of a shared scanner', () => {
  const on = (...addresses: string[]) => [{ name: 'eth0', addresses }];

  it.each([
    ['the first of IPv4', on('fd00::20', '192.168.1.20', '10.0.0.2'), '', 'http://192.168.1.20:18630/eSCL'],
    ['IPv6 alone', on('fd00::20'), '', 'http://[fd00::20]:18630/eSCL'],
    ['the one that lets others in', on('192.168.1.20', '10.0.0.2'), '10.0.0.2', 'http://10.0.0.2:18630/eSCL'],
    ['no network', [], '', 'http://localhost:18630/eSCL'],
  ])('%s', (_name, interfaces, only, want) => expect(eSCLAddress(interfaces, only, 18630)).toBe(want));
});
