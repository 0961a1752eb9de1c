import { ConnectionError, ProblemError, type Document, type DocumentEdit } from '@platen/sdk';
import { describe, expect, it } from 'vitest';
import { DocumentEditor, type EditorMemory, type EditorOptions } from '../src/document/editor.js';

const key = (n: number): string => `j/${n}`;

/** A service with one document, which can be changed behind the editor's back, and fail. */
class FakeService {
  document_: Document = {
    id: 'd', node: 'n', name: 'Scan', revision: 1, created: '', updated: '',
    pages: [1, 2, 3, 4].map((n) => ({ job: 'j', n })),
  };
  requests: DocumentEdit[] = [];
  fail: unknown[] = [];

  async document(): Promise<Document> {
    return structuredClone(this.document_);
  }
  async editDocument(_id: string, edit: DocumentEdit): Promise<Document> {
    this.requests.push(structuredClone(edit));
    const failure = this.fail.shift();
    if (failure) throw failure;
    if (edit.revision !== undefined && edit.revision !== this.document_.revision) throw problem('revision-conflict');
    this.change(edit);
    return structuredClone(this.document_);
  }
  change({ name, pages }: DocumentEdit): void {
    this.document_ = { ...this.document_, revision: this.document_.revision + 1, ...(name ? { name } : {}), ...(pages ? { pages } : {}) };
  }
  get order(): number[] {
    return this.document_.pages.map((p) => p.n);
  }
}

function problem(code: string, retryable = false): ProblemError {
  return new ProblemError({ type: '', title: '', status: 409, code, retryable });
}

function open(service: FakeService, more: Partial<EditorOptions> = {}): { editor: DocumentEditor; told: string[] } {
  const told: string[] = [];
  const editor = new DocumentEditor(service, structuredClone(service.document_), {
    onChange: (s) => told.push(`${s.document.pages.map((p) => p.n).join('')}${s.unsaved ? '*' : ''}`),
    onConflict: () => told.push('conflict'),
    onRefused: (error) => told.push(`refused ${(error as ProblemError).code}`),
    wait: async () => {},
    ...more,
  });
  return { editor, told };
}

describe('DocumentEditor', () => {
  it('shows an edit at once and saves it behind', async () => {
    const service = new FakeService();
    const { editor, told } = open(service);
    editor.edit({ kind: 'remove', keys: [key(2)] });
    expect(told).toEqual(['134*']);
    await editor.settled;
    expect(told.at(-1)).toBe('134');
    expect(service.order).toEqual([1, 3, 4]);
  });

  it('sends edits in order, those that waited together', async () => {
    const service = new FakeService();
    const { editor } = open(service);
    editor.edit({ kind: 'move', keys: [key(4)], after: null });
    editor.edit({ kind: 'rotate', keys: [key(4)], by: 90 });
    editor.rename('Invoice');
    await editor.settled;
    expect(service.order).toEqual([4, 1, 2, 3]);
    expect(service.document_.pages[0]!.rotate).toBe(90);
    expect(service.document_.name).toBe('Invoice');
    expect(service.requests).toHaveLength(2);
  });

  it('undoes, also after a reload', async () => {
    const service = new FakeService();
    let memory: EditorMemory | undefined;
    const { editor } = open(service, { remember: (m) => (memory = structuredClone(m)) });
    editor.edit({ kind: 'remove', keys: [key(1)] });
    editor.edit({ kind: 'remove', keys: [key(3)] });
    await editor.settled;
    expect(editor.state.removed.map((r) => r.page.n)).toEqual([1, 3]);
    editor.undo();
    await editor.settled;
    expect(service.order).toEqual([2, 3, 4]);
    const again = open(service, { memory }).editor;
    expect(again.state.canUndo).toBe(true);
    again.undo();
    await again.settled;
    expect(service.order).toEqual([1, 2, 3, 4]);
    expect(again.state).toMatchObject({ canUndo: false, removed: [] });
  });

  it('repeats its edits on top of what another device did', async () => {
    const service = new FakeService();
    const { editor, told } = open(service);
    service.change({ pages: [...service.document_.pages, { job: 'j', n: 5 }] });
    editor.edit({ kind: 'remove', keys: [key(2)] });
    await editor.settled;
    expect(service.order).toEqual([1, 3, 4, 5]);
    expect(told).toContain('conflict');
    expect(told.at(-1)).toBe('1345');
  });

  it('goes on after a lost connection and a passing problem', async () => {
    const service = new FakeService();
    service.fail = [new ConnectionError(new Error('gone')), problem('node-offline', true)];
    const { editor, told } = open(service);
    editor.edit({ kind: 'remove', keys: [key(2)] });
    await editor.settled;
    expect(service.order).toEqual([1, 3, 4]);
    expect(told.filter((t) => t === '134*').length).toBeGreaterThan(0);
    expect(told.at(-1)).toBe('134');
  });

  it('takes back what is refused', async () => {
    const service = new FakeService();
    service.fail = [problem('permission-denied')];
    const { editor, told } = open(service);
    editor.edit({ kind: 'remove', keys: [key(2)] });
    await editor.settled;
    expect(told).toEqual(['134*', '1234', 'refused permission-denied']);
    expect(service.order).toEqual([1, 2, 3, 4]);
  });

  it('gives up on a document that always has moved on', async () => {
    const service = new FakeService();
    service.fail = Array.from({ length: 20 }, () => problem('revision-conflict'));
    const { editor, told } = open(service);
    editor.edit({ kind: 'remove', keys: [key(2)] });
    await editor.settled;
    expect(told.at(-1)).toBe('refused revision-conflict');
    expect(service.requests.length).toBeLessThan(10);
  });

  it('takes over newer states, and no older ones', async () => {
    const service = new FakeService();
    const { editor } = open(service);
    const old = structuredClone(service.document_);
    service.change({ name: 'Later' });
    editor.accept(structuredClone(service.document_));
    editor.accept(old);
    expect(editor.state.document.name).toBe('Later');
  });
});
