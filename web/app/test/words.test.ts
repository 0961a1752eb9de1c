import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { de as adminDe } from '../src/admin/words.de.js';
import { en as adminEn } from '../src/admin/words.en.js';
import { de as appDe } from '../src/i18n/de.js';
import { en as appEn } from '../src/i18n/en.js';
import { format } from '../src/i18n/format.js';
import { de as licencesDe } from '../src/licences/words.de.js';
import { en as licencesEn } from '../src/licences/words.en.js';
import { de as modulesDe } from '../src/modules/words.de.js';
import { en as modulesEn } from '../src/modules/words.en.js';
import * as wordsDe from '../src/i18n/words.de.js';
import * as wordsEn from '../src/i18n/words.en.js';
import { de as roadsDe } from '../src/roads/words.de.js';
import { en as roadsEn } from '../src/roads/words.en.js';
import { de as setupDe } from '../src/setup/words.de.js';
import { en as setupEn } from '../src/setup/words.en.js';

function constants(file: string, type: string): string[] {
  const source = readFileSync(new URL(`../../../proto/${file}`, import.meta.url), 'utf8');
  return [...source.matchAll(new RegExp(`\\b${type}\\s+=\\s+"([a-z-]+)"`, 'g'))].map((m) => m[1]!).sort();
}

const sets: [name: string, en: Record<string, string>, de: Record<string, string>][] = [
  ['the app and its administration', { ...appEn, ...adminEn }, { ...appDe, ...adminDe }],
  ['the setup page', setupEn, setupDe],
  ['the line about the way of pages', roadsEn, roadsDe],
  ['the screens about licences', licencesEn, licencesDe],
  ['the modules', modulesEn, modulesDe],
];

const both = [['English', wordsEn], ['German', wordsDe]] as const;

describe.each(both)('%s', (_name, words) => {
  it('has words for every problem code', () => {
    const codes = constants('problem/codes.go', 'Code');
    expect(codes.length).toBeGreaterThan(50);
    expect(Object.keys(words.problems).sort()).toEqual(codes);
  });

  it('has words for every reason', () => {
    const reasons = constants('scan/reason.go', 'Reason');
    expect(reasons.length).toBeGreaterThan(15);
    expect(Object.keys(words.reasons).sort()).toEqual(reasons);
  });

  it('says what and what next in whole sentences, without exclamation marks', () => {
    for (const [key, { what, why, next }] of Object.entries(words.problems)) {
      for (const sentence of [what, next, ...(why ? [why] : [])]) {
        expect(sentence, key).toMatch(/^[A-ZÄÖÜ].*\.$/);
        expect(sentence, key).not.toMatch(/!|\b(oops|please|bitte|error|failed|successfully|erfolgreich)\b/i);
      }
    }
    for (const [key, { what, next }] of Object.entries(words.reasons)) {
      expect(what, key).toMatch(/^[A-ZÄÖÜ].*\.$/);
      expect(next, key).toMatch(/^[A-ZÄÖÜ].*\.$/);
    }
  });

  it('uses no word of the API', () => {
    const shown = [...Object.values(words.problems), ...Object.values(words.reasons)].flatMap((w) => Object.values(w) as string[]);
    for (const text of shown) expect(text).not.toMatch(/\b(platen|ADF|duplex|node|session|timeout|blob|50\d)\b/i);
  });
});

/** Names of the slots of a message, with the plural forms of each. */
function slots(message: string): string[] {
  return [...message.matchAll(/\{(\w+)(?:\}|, plural)/g)].map((m) => m[1]!).filter((s) => !/^\d+$/.test(s)).sort();
}

it.each([['the administration', adminEn], ['the setup page', setupEn], ['the line about the way of pages', roadsEn], ['the screens about licences', licencesEn], ['the modules', modulesEn]])('%s has no key of the app', (_name, own) => {
  expect(Object.keys(appEn).filter((key) => key in own)).toEqual([]);
});

describe.each(sets)('the texts of %s', (_name, en, de) => {
  const keys = Object.keys(en);

  it('have the same keys and slots in both languages', () => {
    expect(Object.keys(de).sort()).toEqual([...keys].sort());
    for (const key of keys) expect([...new Set(slots(de[key]!))], key).toEqual([...new Set(slots(en[key]!))]);
  });

  it('can all be filled, for no, one and many', () => {
    for (const [locale, texts] of [['en', en], ['de', de]] as const) {
      for (const key of keys) {
        for (const count of [0, 1, 2, 12]) {
          const values = Object.fromEntries(slots(texts[key]!).map((name) => [name, name === 'count' ? count : 'x']));
          expect(format(texts[key]!, values, locale), key).not.toMatch(/[{}#]/);
        }
      }
    }
  });

  it('use no exclamation mark', () => {
    for (const texts of [en, de]) for (const text of Object.values(texts)) expect(text).not.toContain('!');
  });
});

describe('format', () => {
  it.each([
    ['plain', {}, 'plain'],
    ['{name}!', { name: 'a{b}' }, 'a{b}!'],
    ['{count, plural, one {# page} other {# pages}}', { count: 1 }, '1 page'],
    ['{count, plural, one {# page} other {# pages}}', { count: 1200 }, '1,200 pages'],
    ['{count, plural, =0 {none} one {# of {name}} other {# of {name}}}.', { count: 0, name: 'x' }, 'none.'],
    ['{count, plural, =0 {none} one {# of {name}} other {# of {name}}}.', { count: 3, name: 'x' }, '3 of x.'],
    ['{n}', { n: 1234 }, '1,234'],
  ])('%s', (message, values, want) => expect(format(message, values as Record<string, string | number>, 'en')).toBe(want));

  it('fails on a slot without a value', () => {
    expect(() => format('{name}', {}, 'en')).toThrow('no value for {name}');
  });
});
