import { ConnectionError, ProblemError, retryable, type Document, type DocumentEdit, type DocumentPage } from '@platen/sdk';
import { apply, invert, keyOf, type Edit, type PageKey } from './edits.js';

/** What the editor needs of the service. */
export interface DocumentService {
  document(id: string): Promise<Document>;
  editDocument(id: string, edit: DocumentEdit): Promise<Document>;
}

export interface EditorState {
  /** As the service has it, with the edits that it does not know yet. */
  document: Document;
  unsaved: boolean;
  /** Taken out on this device, newest last; can be put back. */
  removed: { page: DocumentPage; after: PageKey | null }[];
  canUndo: boolean;
}

/** What a tab remembers of a document, so that undo survives a reload. */
export interface EditorMemory {
  undo: Edit[];
  removed: EditorState['removed'];
}

export interface EditorOptions {
  onChange(state: EditorState): void;
  /** The document had moved on; the edit was repeated on top. */
  onConflict?(): void;
  /** The service refused an edit; it was taken back. */
  onRefused?(error: unknown): void;
  remember?(memory: EditorMemory): void;
  memory?: EditorMemory | undefined;
  /** Waits before the next try after a lost connection. */
  wait?(attempt: number): Promise<void>;
}

const undoLimit = 20;
const conflictLimit = 5;

type Pending = { edit: Edit } | { name: string };

/** Applies edits at once, here, and sends them in order behind. */
export class DocumentEditor {
  readonly #service: DocumentService;
  readonly #options: EditorOptions;
  #known: Document;
  #pending: Pending[] = [];
  #sending = 0;
  #flushing: Promise<void> | undefined;
  #undo: Edit[];
  #removed: EditorState['removed'];
  #closed = false;

  constructor(service: DocumentService, document: Document, options: EditorOptions) {
    this.#service = service;
    this.#options = options;
    this.#known = document;
    this.#undo = options.memory?.undo ?? [];
    this.#removed = options.memory?.removed ?? [];
  }

  get state(): EditorState {
    let { pages, name } = this.#known;
    for (const change of this.#pending) {
      if ('edit' in change) pages = apply(pages, change.edit);
      else name = change.name;
    }
    const there = new Set(pages.map(keyOf));
    return {
      document: { ...this.#known, pages, name },
      unsaved: this.#pending.length > 0,
      removed: this.#removed.filter(({ page }) => !there.has(keyOf(page))),
      canUndo: this.#undo.length > 0,
    };
  }

  /** Resolves when nothing waits to be sent. */
  get settled(): Promise<void> {
    return this.#flushing ?? Promise.resolve();
  }

  edit(edit: Edit): void {
    const before = this.state.document.pages;
    this.#undo = [...this.#undo, invert(before, edit)].slice(-undoLimit);
    this.#do(edit, before);
  }

  undo(): void {
    const edit = this.#undo.at(-1);
    if (!edit) return;
    this.#undo = this.#undo.slice(0, -1);
    this.#do(edit, this.state.document.pages);
  }

  rename(name: string): void {
    if (name === this.state.document.name) return;
    this.#pending.push({ name });
    this.#changed();
    this.#flush();
  }

  /** Takes over a newer state of the document that came from elsewhere. */
  accept(document: Document): void {
    if (document.revision < this.#known.revision || this.#sending > 0) return;
    this.#known = document;
    this.#changed();
  }

  close(): void {
    this.#closed = true;
  }

  #do(edit: Edit, before: DocumentPage[]): void {
    if (edit.kind === 'remove') {
      const inverse = invert(before, edit);
      if (inverse.kind === 'insert') this.#removed = [...this.#removed, ...inverse.pages].slice(-200);
    } else if (edit.kind === 'insert') {
      const back = new Set(edit.pages.map(({ page }) => keyOf(page)));
      this.#removed = this.#removed.filter(({ page }) => !back.has(keyOf(page)));
    }
    this.#pending.push({ edit });
    this.#options.remember?.({ undo: this.#undo, removed: this.#removed });
    this.#changed();
    this.#flush();
  }

  #changed(): void {
    if (!this.#closed) this.#options.onChange(this.state);
  }

  #flush(): void {
    this.#flushing ??= this.#send().finally(() => (this.#flushing = undefined));
  }

  async #send(): Promise<void> {
    let conflicts = 0;
    for (let attempt = 1; this.#pending.length > 0; ) {
      const batch = this.#pending.slice();
      this.#sending = batch.length;
      try {
        const saved = await this.#service.editDocument(this.#known.id, this.#request(batch));
        this.#known = saved;
        this.#pending = this.#pending.slice(batch.length);
        attempt = 1;
        conflicts = 0;
        this.#changed();
      } catch (error) {
        if (error instanceof ProblemError && error.code === 'revision-conflict' && conflicts++ < conflictLimit) {
          try {
            this.#known = await this.#service.document(this.#known.id);
            this.#options.onConflict?.();
            this.#changed();
            continue;
          } catch (reading) {
            error = reading;
          }
        }
        if (error instanceof ConnectionError || (retryable(error) && attempt < 8)) {
          if (this.#closed && attempt > 3) return;
          await this.#options.wait?.(attempt++);
          continue;
        }
        this.#pending = this.#pending.slice(batch.length);
        this.#changed();
        this.#options.onRefused?.(error);
      } finally {
        this.#sending = 0;
      }
    }
  }

  #request(batch: Pending[]): DocumentEdit {
    const request: DocumentEdit = {};
    let { pages } = this.#known;
    for (const change of batch) {
      if ('edit' in change) {
        pages = apply(pages, change.edit);
        request.pages = pages;
        request.revision = this.#known.revision;
      } else request.name = change.name;
    }
    return request;
  }
}
