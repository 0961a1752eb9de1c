import { describe, expect, it } from 'vitest';
import { faultOf, most, nameOf } from '../src/modules/file.js';
import { firstChoice, languageNames } from '../src/modules/languages.js';

describe('a file to import', () => {
  const file = (name: string, type = 'application/pdf', size = 1) => ({ name, type, size });
  it.each([
    [file('a.pdf'), undefined],
    [file('a', 'application/pdf'), undefined],
    [file('A.PDF', ''), undefined],
    [file('a.txt', 'text/plain'), 'not-pdf'],
    [file('a.pdf', 'application/pdf', most), undefined],
    [file('a.pdf', 'application/pdf', most + 1), 'too-large'],
  ])('%o: %s', (given, want) => expect(faultOf(given)).toBe(want));

  it.each([['Post.pdf', 'Post'], ['Post.PDF', 'Post'], ['.pdf', 'PDF'], ['a.pdf.pdf', 'a.pdf']])('%s is called %s', (name, want) => expect(nameOf(name)).toBe(want));
});

describe('languages of text', () => {
  it('are named in the language of the page, in order, without what is none', () => {
    expect(languageNames(['osd', 'eng', 'deu', 'equ', 'fra'], 'de')).toEqual([{ code: 'deu', name: 'Deutsch' }, { code: 'eng', name: 'Englisch' }, { code: 'fra', name: 'Französisch' }]);
    expect(languageNames(['deu', 'eng'], 'en').map((l) => l.name)).toEqual(['English', 'German']);
  });

  it('keep what no standard names', () => {
    const names = languageNames(['chi_sim', 'xx1'], 'en').map((l) => l.name);
    expect(names).toContain('xx1');
    expect(names.some((n) => n.includes('sim'))).toBe(true);
  });

  it.each([
    [['deu', 'eng'], undefined, 'de-AT', ['deu']],
    [['deu', 'eng'], undefined, 'en-GB', ['eng']],
    [['eng', 'fra'], undefined, 'de', ['eng']],
    [['osd', 'fra'], undefined, 'de', ['fra']],
    [['deu', 'eng', 'fra'], 'fra+deu', 'en', ['fra', 'deu']],
    [['deu', 'eng'], 'fra', 'en', ['eng']],
    [[], 'fra', 'en', []],
  ])('of %j, after %s, in %s begin with %j', (codes, last, locale, want) => expect(firstChoice(codes, last, locale)).toEqual(want));
});
