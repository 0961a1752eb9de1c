import type { DocumentPage } from '@platen/sdk';
import { describe, expect, it } from 'vitest';
import { apply, invert, keyOf, step, type Direction, type Edit } from '../src/document/edits.js';

const page = (n: number, rotate?: 90 | 180 | 270): DocumentPage => ({ job: 'j', n, ...(rotate ? { rotate } : {}) });
const pages = (...ns: number[]): DocumentPage[] => ns.map((n) => page(n));
const key = (n: number): string => `j/${n}`;
const order = (list: DocumentPage[]): number[] => list.map((p) => p.n);

describe('apply', () => {
  it.each<[string, Edit, number[]]>([
    ['remove', { kind: 'remove', keys: [key(2), key(9)] }, [1, 3, 4]],
    ['insert first', { kind: 'insert', pages: [{ page: page(9), after: null }] }, [9, 1, 2, 3, 4]],
    ['insert after', { kind: 'insert', pages: [{ page: page(9), after: key(2) }] }, [1, 2, 9, 3, 4]],
    ['insert after what is gone', { kind: 'insert', pages: [{ page: page(9), after: key(8) }] }, [1, 2, 3, 4, 9]],
    ['insert what is there', { kind: 'insert', pages: [{ page: page(3), after: null }] }, [1, 2, 3, 4]],
    ['move first', { kind: 'move', keys: [key(4)], after: null }, [4, 1, 2, 3]],
    ['move several', { kind: 'move', keys: [key(3), key(1)], after: key(4) }, [2, 4, 1, 3]],
    ['move after what is gone', { kind: 'move', keys: [key(1)], after: key(8) }, [1, 2, 3, 4]],
    ['order', { kind: 'order', keys: [key(4), key(3), key(2), key(1)] }, [4, 3, 2, 1]],
    ['order with unknown pages behind theirs', { kind: 'order', keys: [key(3), key(1)] }, [3, 4, 1, 2]],
  ])('%s', (_name, edit, want) => {
    const before = pages(1, 2, 3, 4);
    expect(order(apply(before, edit))).toEqual(want);
    expect(order(before)).toEqual([1, 2, 3, 4]);
  });

  it('rotates all the way round, and leaves no rotate of 0', () => {
    let list = pages(1, 2);
    for (const want of [90, 180, 270, undefined]) {
      list = apply(list, { kind: 'rotate', keys: [key(1)], by: 90 });
      expect(list[0]!.rotate).toBe(want);
      expect(list[1]).toEqual(page(2));
    }
    expect(list[0]).toEqual({ job: 'j', n: 1 });
  });
});

describe('invert', () => {
  it.each<[string, Edit]>([
    ['remove one', { kind: 'remove', keys: [key(1)] }],
    ['remove neighbours', { kind: 'remove', keys: [key(2), key(3), key(5)] }],
    ['remove all', { kind: 'remove', keys: [1, 2, 3, 4, 5].map(key) }],
    ['rotate', { kind: 'rotate', keys: [key(2), key(4)], by: 270 }],
    ['move', { kind: 'move', keys: [key(5), key(2)], after: null }],
    ['order', { kind: 'order', keys: [5, 4, 3, 2, 1].map(key) }],
    ['insert', { kind: 'insert', pages: [{ page: page(9), after: key(2) }] }],
  ])('%s', (_name, edit) => {
    const before = apply(pages(1, 2, 3, 4, 5), { kind: 'rotate', keys: [key(2)], by: 90 });
    expect(apply(apply(before, edit), invert(before, edit))).toEqual(before);
  });

  it('keeps pages that came in between', () => {
    const before = pages(1, 2, 3);
    const move: Edit = { kind: 'move', keys: [key(3)], after: null };
    const later = [...apply(before, move), page(4)];
    expect(order(apply(later, invert(before, move)))).toEqual([1, 2, 4, 3]);
    const remove: Edit = { kind: 'remove', keys: [key(2)] };
    expect(order(apply([...apply(before, remove), page(4)], invert(before, remove)))).toEqual([1, 2, 3, 4]);
  });
});

describe('step', () => {
  const table: [number[], Direction, number[] | null][] = [
    [[9], 'first', [9, 1, 2, 3]],
    [[1], 'first', null],
    [[2], 'earlier', [2, 1, 3, 9]],
    [[1], 'earlier', null],
    [[2], 'later', [1, 3, 2, 9]],
    [[9], 'later', null],
    [[1], 'last', [2, 3, 9, 1]],
    [[2, 3], 'earlier', [2, 3, 1, 9]],
    [[2, 3], 'later', [1, 9, 2, 3]],
    [[1, 3], 'earlier', [1, 3, 2, 9]], // drawn together
    [[1, 3], 'later', [2, 1, 3, 9]],
    [[], 'last', null],
  ];
  it.each(table)('%j %s', (moving, direction, want) => {
    const before = pages(1, 2, 3, 9);
    const edit = step(before, moving.map(key), direction);
    expect(edit && order(apply(before, edit))).toEqual(want);
  });
});

describe('keyOf', () => {
  it('names a page within its document', () => expect(keyOf(page(3))).toBe('j/3'));
});
