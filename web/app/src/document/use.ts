import { ConnectionError, type Document, type Page } from '@platen/sdk';
import { useEffect, useRef, useState } from 'preact/hooks';
import { platen } from '../api.js';
import { t } from '../i18n/index.js';
import { followed, listen } from '../store/events.js';
import { live } from '../store/live.js';
import { tab } from '../store/memory.js';
import { useStore } from '../store/store.js';
import { showToast } from '../ui/toast.js';
import { explain } from '../i18n/words.js';
import { DocumentEditor, type EditorMemory, type EditorState } from './editor.js';
import { keyOf, type PageKey } from './edits.js';

export interface OpenDocument {
  state: EditorState | undefined;
  editor: DocumentEditor | undefined;
  /** What is known of each page: its size, its bytes, whether they are lost. */
  pages: Map<PageKey, Page>;
  error: unknown;
  reload: () => void;
}

/** A document as it is now: with one's own edits at once, and others' when they come. */
export function useDocument(id: string): OpenDocument {
  const { epoch } = useStore(followed);
  const job = useStore(live);
  const [state, setState] = useState<EditorState>();
  const [error, setError] = useState<unknown>();
  const [round, setRound] = useState(0);
  const editor = useRef<DocumentEditor | undefined>(undefined);
  const committed = job?.job?.document === id ? job.job.pages : 0;
  const over = job?.job?.document === id && job.ended;

  useEffect(() => {
    let stale = false;
    platen.document(id).then(
      (document) => {
        if (stale) return;
        setError(undefined);
        if (editor.current) editor.current.accept(document);
        else editor.current = open(document, setState);
        setState(editor.current.state);
      },
      (problem: unknown) => !stale && setError(problem),
    );
    return () => {
      stale = true;
    };
  }, [id, epoch, round, committed, over]);
  useEffect(() => () => editor.current?.close(), []);
  useEffect(() => listen((event) => {
    if (event.type === 'document' && event.document?.id === id) editor.current?.accept(event.document);
  }), [id]);
  useEffect(() => {
    const look = (): void => {
      if (document.visibilityState === 'visible') setRound((n) => n + 1);
    };
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, []);

  const pages = usePages(state?.document);
  return { state, editor: editor.current, pages, error, reload: () => setRound((n) => n + 1) };
}

function open(document: Document, onChange: (state: EditorState) => void): DocumentEditor {
  const key = `edits.${document.id}`;
  const editor = new DocumentEditor(platen, document, {
    onChange,
    memory: tab.read<EditorMemory>(key),
    remember: (memory) => tab.write(key, memory),
    onConflict: () => showToast(t('doc.conflict')),
    onRefused: (error) => {
      const { what } = explain(error);
      showToast(`${t('doc.refused')} ${what}`);
    },
    wait: (attempt) => new Promise((resolve) => {
      const timer = setTimeout(done, Math.min(8000, 500 * 2 ** attempt));
      function done(): void {
        clearTimeout(timer);
        removeEventListener('online', done);
        resolve();
      }
      addEventListener('online', done);
    }),
  });
  return editor;
}

/** Reads the pages of each job that the document has pages of. */
function usePages(document: Document | undefined): Map<PageKey, Page> {
  const [pages, setPages] = useState<Map<PageKey, Page>>(new Map());
  const missing = document?.pages.filter((p) => !pages.has(keyOf(p))) ?? [];
  const jobs = [...new Set(missing.map((p) => p.job))].sort().join(' ');
  const asked = useRef('');
  const want = missing.map(keyOf).join(' ');
  useEffect(() => {
    if (!jobs || asked.current === want) return;
    asked.current = want; // a page that its job no longer lists is not asked for again and again
    let stale = false;
    void Promise.all(jobs.split(' ').map((job) => platen.allPages(job).catch((error: unknown) => {
      if (error instanceof ConnectionError) asked.current = '';
      return [] as Page[];
    }))).then((lists) => {
      if (!stale) setPages((known) => new Map([...known, ...lists.flat().map((p) => [keyOf(p), p] as const)]));
    });
    return () => {
      stale = true;
    };
  }, [want]);
  return pages;
}

/** Width over height of a page as it is stored. */
export function ratioOf(page: Page | undefined): number | undefined {
  return page?.height ? page.width / page.height : undefined;
}
