import type { DocumentPage } from '@platen/sdk';

/** Names a page within its document. */
export type PageKey = string;

export function keyOf(page: DocumentPage): PageKey {
  return `${page.job}/${page.n}`;
}

/** A change of the page list that can be applied to any later state of it, and undone. */
export type Edit =
  | { kind: 'remove'; keys: PageKey[] }
  | { kind: 'insert'; pages: { page: DocumentPage; after: PageKey | null }[] }
  | { kind: 'rotate'; keys: PageKey[]; by: number }
  /** Puts the pages, in their present order, after a page that is none of them; null: first. */
  | { kind: 'move'; keys: PageKey[]; after: PageKey | null }
  /** Gives known pages this order; others stay behind the page they follow. */
  | { kind: 'order'; keys: PageKey[] };

export function apply(pages: DocumentPage[], edit: Edit): DocumentPage[] {
  switch (edit.kind) {
    case 'remove': {
      const gone = new Set(edit.keys);
      return pages.filter((p) => !gone.has(keyOf(p)));
    }
    case 'insert': {
      const out = [...pages];
      for (const { page, after } of edit.pages) {
        if (out.some((p) => keyOf(p) === keyOf(page))) continue;
        const at = after === null ? 0 : out.findIndex((p) => keyOf(p) === after) + 1;
        out.splice(after !== null && at === 0 ? out.length : at, 0, page);
      }
      return out;
    }
    case 'rotate': {
      const turned = new Set(edit.keys);
      return pages.map((p) => (turned.has(keyOf(p)) ? rotated(p, edit.by) : p));
    }
    case 'move': {
      const moving = new Set(edit.keys);
      const taken = pages.filter((p) => moving.has(keyOf(p)));
      const rest = pages.filter((p) => !moving.has(keyOf(p)));
      const at = edit.after === null ? 0 : rest.findIndex((p) => keyOf(p) === edit.after) + 1;
      if (edit.after !== null && at === 0) return pages; // the place is gone
      return [...rest.slice(0, at), ...taken, ...rest.slice(at)];
    }
    case 'order': {
      const place = new Map(edit.keys.map((key, i) => [key, i]));
      const groups: { at: number; pages: DocumentPage[] }[] = [];
      for (const page of pages) {
        const at = place.get(keyOf(page));
        if (at !== undefined) groups.push({ at, pages: [page] });
        else if (groups.length) groups.at(-1)!.pages.push(page);
        else groups.push({ at: -1, pages: [page] });
      }
      return groups.sort((a, b) => a.at - b.at).flatMap((g) => g.pages);
    }
  }
}

/** The edit that takes `edit` back, given the pages before it. */
export function invert(before: DocumentPage[], edit: Edit): Edit {
  switch (edit.kind) {
    case 'remove': {
      const gone = new Set(edit.keys);
      const pages = before.flatMap((page, i) => (gone.has(keyOf(page)) ? [{ page, after: i === 0 ? null : keyOf(before[i - 1]!) }] : []));
      return { kind: 'insert', pages };
    }
    case 'insert':
      return { kind: 'remove', keys: edit.pages.map(({ page }) => keyOf(page)) };
    case 'rotate':
      return { kind: 'rotate', keys: edit.keys, by: 360 - edit.by };
    case 'move':
    case 'order':
      return { kind: 'order', keys: before.map(keyOf) };
  }
}

function rotated(page: DocumentPage, by: number): DocumentPage {
  const rotate = (((page.rotate ?? 0) + by) % 360) as 0 | 90 | 180 | 270;
  const { rotate: _before, ...rest } = page;
  return rotate === 0 ? rest : { ...rest, rotate };
}

export type Direction = 'first' | 'earlier' | 'later' | 'last';

/** The move by one step, or to an end, without dragging. Null if the pages are there already. */
export function step(pages: DocumentPage[], keys: PageKey[], direction: Direction): Edit | null {
  const moving = new Set(keys);
  const places = pages.flatMap((p, i) => (moving.has(keyOf(p)) ? [i] : []));
  if (!places.length) return null;
  const rest = pages.filter((p) => !moving.has(keyOf(p))).map(keyOf);
  const before = pages.slice(0, places[0]).filter((p) => !moving.has(keyOf(p))).length;
  const behind = pages.slice(0, places.at(-1)! + 1).filter((p) => !moving.has(keyOf(p))).length;
  const together = behind === before;
  let at: number;
  switch (direction) {
    case 'first':
      at = 0;
      break;
    case 'earlier':
      at = Math.max(0, before - 1);
      break;
    case 'later':
      at = Math.min(rest.length, together ? before + 1 : behind);
      break;
    case 'last':
      at = rest.length;
      break;
  }
  if (together && at === before) return null;
  return { kind: 'move', keys, after: at === 0 ? null : rest[at - 1]! };
}
