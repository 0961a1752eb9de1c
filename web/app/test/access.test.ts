import type { Node } from '@platen/sdk';
import { describe, expect, it } from 'vitest';
import { namesake } from '../src/admin/namesake.js';
import { judgeOrigin } from '../src/admin/origin.js';
import { spell, strays, tidy } from '../src/signin/code.js';

describe('a typed code', () => {
  it.each([
    ['K7QM2X9P', 'K7QM2X9P'],
    ['k7qm-2x9p', 'K7QM2X9P'],
    [' k7 qm\t2x\n9p ', 'K7QM2X9P'],
    ['K7QM–2X9P', 'K7QM2X9P'],
    ['k7qm2x9pzzz', 'K7QM2X9P'],
    ['k7', 'K7'],
    ['', ''],
    ['äöü!', ''],
  ])('%j is %s', (typed, want) => expect(tidy(typed)).toBe(want));

  it.each([['', ''], ['K7QM', 'K7QM'], ['K7QM2', 'K7QM-2'], ['K7QM2X9P', 'K7QM-2X9P']])('%s reads %s', (code, want) => expect(spell(code)).toBe(want));

  it.each([['K7QM2X9P', false], ['K7QM2X90', true], ['O', true], ['I', true], ['1', true], ['L', false]])('%s has a symbol that no code has: %s', (code, want) => expect(strays(code)).toBe(want));
});

describe('judgeOrigin', () => {
  const own = 'http://localhost:18622';
  it.each([
    'https://shop.example', 'https://shop.example:8443', 'http://localhost:3000', 'http://127.0.0.1:3000', 'https://xn--mller-kva.example', 'https://[2001:db8::1]:8443',
  ])('%s is good', (origin) => expect(judgeOrigin(origin, own)).toEqual({ verdict: 'good', plain: false }));

  it.each(['http://shop.example', 'http://192.168.1.9'])('%s is good, and not encrypted', (origin) => expect(judgeOrigin(origin, own)).toEqual({ verdict: 'good', plain: true }));

  it.each([
    '', 'null', '*', 'shop.example', '//shop.example', 'https://', 'https://shop.example/', 'https://shop.example/page', 'https://shop.example?x', 'https://shop.example#x',
    'https://user@shop.example', 'https://user:secret@shop.example', 'https://shop.example:443', 'http://shop.example:80', 'HTTPS://shop.example', 'https://SHOP.example',
    'https://müller.example', 'https://*.example', ' https://shop.example', 'https://shop.example ', 'https://shop.example, https://b.example', 'https://shop.example\\x',
    'javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', 'blob:https://shop.example/1', 'ftp://shop.example', 'wss://shop.example', 'chrome-extension://abcdef',
  ])('%j is malformed', (origin) => expect(judgeOrigin(origin, own).verdict).toBe('malformed'));

  it('knows its own', () => expect(judgeOrigin(own, own).verdict).toBe('own'));
});

describe('namesake', () => {
  const node = (id: string, name: string, state: Node['state'] = 'online') => ({ id, name, state }) as Node;
  const asking = node('new', 'Copy room', 'waiting');

  it.each<[name: string, other: Node, same: boolean]>([
    ['the same name', node('a', 'Copy room'), true],
    ['that differs in case and blanks only', node('a', ' copy\u00a0 ROOM '), true],
    ['that looks the same', node('a', 'Co\u200bpy room'), true],
    ['of one that waits too', node('a', 'Copy room', 'waiting'), true],
    ['of one that is blocked', node('a', 'Copy room', 'revoked'), true],
    ['another name', node('a', 'Copy room 2'), false],
    ['of itself', node('new', 'Copy room'), false],
  ])('%s', (_name, other, same) => expect(namesake(asking, [asking, other])).toBe(same ? other : undefined));
});
