import { ended, ProblemError, type Document, type ModuleState, type Reason } from '@platen/sdk';
import { useEffect, useId, useState } from 'preact/hooks';
import { platen } from '../api.js';
import { t } from '../i18n/index.js';
import { reason } from '../i18n/words.js';
import { keyOf, step, type Direction, type PageKey } from '../document/edits.js';
import { useDocument, type OpenDocument } from '../document/use.js';
import { navigate, useRoute, useSheet } from '../router.js';
import { live } from '../store/live.js';
import { tab } from '../store/memory.js';
import { missing, offered, useModules } from '../store/modules.js';
import { useStore } from '../store/store.js';
import { Banner, Empty, ProblemNote, ProblemScreen, useAfter } from '../ui/bits.js';
import { Button, IconButton, Tool } from '../ui/button.js';
import { Bar, Screen } from '../ui/frame.js';
import { Icon, type IconName } from '../ui/icon.js';
import { lazy } from '../ui/lazy.js';
import { MenuRow } from '../ui/menu.js';
import { SealedLine } from '../ui/sealed.js';
import { Sheet } from '../ui/sheet.js';
import { announce, showToast } from '../ui/toast.js';
import { useMedia, wide } from '../ui/use.js';
import { AddSheet, NextGlass, useLastJob } from './add.js';
import { FinishSheet } from './finish.js';
import { PageGrid } from './grid.js';
import { PagePreview, PageView } from './page.js';
import { RemovedSheet } from './removed.js';

/** Make it right: the grid of pages, and on wide screens a page beside it. */
export function DocumentScreen({ id }: { id: string }) {
  const open = useDocument(id);
  const route = useRoute();
  const broad = useMedia(wide);
  const page = route.query.get('page') ?? undefined;
  if (!open.state || !open.editor) return <NotThere open={open} />;
  const { pages } = open.state.document;
  const there = page !== undefined && pages.some((p) => keyOf(p) === page);
  if (there && !broad) return <PageView open={open} page={page} />;
  return <Grid open={open} page={there ? page : pages[0] && keyOf(pages[0])} broad={broad} />;
}

function NotThere({ open }: { open: OpenDocument }) {
  const late = useAfter(400);
  const gone = open.error instanceof ProblemError && (open.error.code === 'not-found' || open.error.code === 'page-gone');
  return (
    <Screen title={t('doc.untitled')} up="/documents" class="doc-screen">
      {gone ? (
        <Empty icon="file-text" title={t('doc.gone')} actions={<Button kind="primary" onClick={() => navigate('/documents', { replace: true })}>{t('menu.documents')}</Button>}>{t('doc.gone.text')}</Empty>
      ) : open.error !== undefined ? (
        <ProblemScreen error={open.error} onAgain={open.reload} />
      ) : late ? (
        <div class="grid" aria-busy="true" role="status" aria-label={t('loading')}>
          {Array.from({ length: 6 }, (_, i) => <div key={i} class="skeleton paper-like" style={{ aspectRatio: '0.707' }} />)}
        </div>
      ) : null}
    </Screen>
  );
}

function Grid({ open, page, broad }: { open: OpenDocument; page: PageKey | undefined; broad: boolean }) {
  const { state, editor } = open;
  const { document, unsaved, removed, canUndo } = state!;
  const { pages } = document;
  const [selected, setSelected] = useState<PageKey[] | undefined>();
  const finish = useSheet('finish');
  const add = useSheet('add');
  const move = useSheet('move');
  const bin = useSheet('removed');
  const rename = useSheet('rename');
  const erase = useSheet('delete');
  const text = useSheet('text');
  const split = useSheet('split');
  const modules = useModules(document.node);
  const ocr = modules.get('ocr');
  const barcode = modules.get('barcode');
  const job = useStore(live);
  const running = job?.job && job.job.document === document.id && !ended(job.job.state) ? job.job : undefined;
  const [partial, dismiss] = usePartial(document);
  // Pages that were taken out elsewhere leave the selection too.
  const chosen = selected?.filter((key) => pages.some((p) => keyOf(p) === key));
  const numberOf = (key: PageKey): number => pages.findIndex((p) => keyOf(p) === key) + 1;

  const remove = (keys: PageKey[]): void => {
    if (!keys.length) return;
    editor!.edit({ kind: 'remove', keys });
    setSelected(undefined);
    showToast(t('doc.removed', { count: keys.length, n: numberOf(keys[0]!) }), { label: t('undo'), run: () => editor!.undo() });
  };
  const rotate = (keys: PageKey[]): void => {
    if (!keys.length) return;
    editor!.edit({ kind: 'rotate', keys, by: 90 });
    announce(t('doc.rotated', { count: keys.length, n: numberOf(keys[0]!) }));
  };
  const moved = (keys: PageKey[]): void => {
    const now = editor!.state.document.pages;
    announce(t('doc.moved', { count: keys.length, n: numberOf(keys[0]!), to: now.findIndex((p) => keyOf(p) === keys[0]) + 1 }));
  };
  const moveBy = (keys: PageKey[], direction: Direction): void => {
    const edit = step(pages, keys, direction);
    if (!edit) return;
    editor!.edit(edit);
    moved(keys);
  };

  useEffect(() => {
    if (!selected) return;
    const leave = (event: KeyboardEvent): void => {
      if (event.key === 'Escape' && !window.document.querySelector('dialog[open]')) setSelected(undefined);
    };
    addEventListener('keydown', leave);
    return () => removeEventListener('keydown', leave);
  }, [selected !== undefined]);
  useEffect(() => {
    const undo = (event: KeyboardEvent): void => {
      const typing = (event.target as HTMLElement).closest('input, textarea, select');
      if (event.key === 'z' && (event.ctrlKey || event.metaKey) && !event.shiftKey && !typing && editor!.state.canUndo) {
        event.preventDefault();
        editor!.undo();
        showToast(t('doc.undone'));
      }
    };
    addEventListener('keydown', undo);
    return () => removeEventListener('keydown', undo);
  }, [editor]);

  const bar = chosen ? (
    <Bar id="selection">
      <div class="tools" role="toolbar" aria-label={t('doc.selected', { count: chosen.length })}>
        <Tool icon="rotate-cw" label={t('doc.rotate')} disabled={!chosen.length} onClick={() => rotate(chosen)} />
        <Tool icon="arrow-up-down" label={t('doc.move')} disabled={!chosen.length || chosen.length === pages.length} onClick={move.show} />
        <Tool icon="square-check-big" label={t('doc.select-all')} onClick={() => setSelected(chosen.length === pages.length ? [] : pages.map(keyOf))} />
        <Tool icon="trash-2" label={t('delete')} danger disabled={!chosen.length} onClick={() => remove(chosen)} />
      </div>
    </Bar>
  ) : (
    <Bar id="grid">
      <NextGlass document={document} onAdd={add.show} />
      <Button kind="primary" class="primary-place" data-action="done" disabled={pages.length === 0 || running !== undefined} onClick={finish.show}>{t('done')}</Button>
    </Bar>
  );

  return (
    <Screen
      title={chosen ? t('doc.selected', { count: chosen.length }) : document.name}
      heading={chosen ? undefined : (
        <button type="button" class="name" title={t('doc.rename')} onClick={rename.show}>
          <span class="middle-cut">{document.name}</span>
          <Icon name="pencil" size={16} />
        </button>
      )}
      {...(chosen ? { onBack: () => setSelected(undefined) } : { up: '/documents', onBack: () => navigate('/documents') })}
      class="doc-screen"
      actions={canUndo && <IconButton icon="undo-2" label={t('undo')} onClick={() => {
        editor!.undo();
        announce(t('doc.undone'));
      }} />}
      menu={<>
        <MenuRow icon="pencil" label={t('doc.rename')} onClick={() => navigate('#rename', { replace: true, sheet: true })} />
        <ModuleRow icon="file-text" module={ocr} sheet="text" label={t('module.text')} disabled={pages.length === 0} />
        <ModuleRow icon="files" module={barcode} sheet="split" label={t('module.split')} disabled={pages.length === 0 || running !== undefined} />
        {removed.length > 0 && <MenuRow icon="undo-2" label={t('doc.removed-pages', { count: removed.length })} onClick={() => navigate('#removed', { replace: true, sheet: true })} />}
        <MenuRow icon="trash-2" label={t('doc.delete')} danger onClick={() => navigate('#delete', { replace: true, sheet: true })} />
      </>}
      bar={bar}
    >
      {partial && (
        <Banner icon="triangle-alert" tone="warn" title={t(partial.why === 'partial-license' ? 'ended.license' : 'ended.partial', { count: partial.pages })} close={<IconButton icon="x" label={t('close')} onClick={dismiss} />}>
          <p>{`${reason(partial.why).what} ${reason(partial.why).next}`}</p>
        </Banner>
      )}
      <div class="doc-meta">
        <p class="facts label quiet">
          <span class="numbers" data-pages={pages.length}>{t('pages', { count: pages.length })}</span>
          {unsaved && <span class="unsaved" role="status">{t('doc.unsaved')}</span>}
          {running && <span>{t('doc.more-coming')}</span>}
          <SealedLine jobs={pages.map((p) => p.job)} />
        </p>
        {pages.length > 0 && !chosen && <Button kind="plain" class="small" onClick={() => setSelected([])}>{t('doc.select')}</Button>}
      </div>
      {pages.length === 0 ? (
        <Empty icon="files" title={t('doc.empty')} actions={canUndo && <Button icon="undo-2" onClick={() => editor!.undo()}>{t('undo')}</Button>}>{t('doc.empty.text')}</Empty>
      ) : (
        <div class="doc-columns">
          <PageGrid
            open={open}
            selected={chosen}
            current={broad ? page : undefined}
            onOpen={(key) => navigate(`?page=${key}`, { replace: broad })}
            onSelect={setSelected}
            onRemove={remove}
            onRotate={rotate}
            onMove={moveBy}
          />
          {broad && page && <PagePreview open={open} page={page} onRemove={() => remove([page])} onRotate={() => rotate([page])} />}
        </div>
      )}
      <FinishSheet open={finish.open} onClose={finish.hide} doc={open} />
      <AddSheet open={add.open} onClose={add.hide} document={document} />
      <MoveSheet open={move.open && chosen !== undefined && chosen.length > 0} onClose={move.hide} pages={pages.map(keyOf)} chosen={chosen ?? []}
        onStep={(direction) => moveBy(chosen!, direction)}
        onMove={(after) => {
          editor!.edit({ kind: 'move', keys: chosen!, after });
          moved(chosen!);
          setSelected(undefined);
          move.hide();
        }} />
      <RemovedSheet open={bin.open} onClose={bin.hide} doc={open} />
      <RenameSheet open={rename.open} onClose={rename.hide} name={document.name} onRename={(name) => editor!.rename(name)} />
      {text.open && ocr && <TextSheet doc={open} module={ocr} onClose={text.hide} />}
      {split.open && barcode && <SplitSheet doc={open} module={barcode} onClose={split.hide} />}
      <EraseSheet open={erase.open} onClose={erase.hide} id={document.id} name={document.name} count={pages.length} />
    </Screen>
  );
}

const TextSheet = lazy(() => import('../modules/index.js').then((m) => m.TextSheet), true);
const SplitSheet = lazy(() => import('../modules/index.js').then((m) => m.SplitSheet), true);

/** What a module can do with the document, where its computer has it. */
function ModuleRow({ icon, module, sheet, label, disabled }: { icon: IconName; module: ModuleState | undefined; sheet: string; label: string; disabled: boolean }) {
  if (!offered(module) || disabled) return null;
  const lack = missing(module);
  return <MenuRow icon={icon} label={label} {...(lack ? { note: t(lack) } : {})} onClick={() => navigate(`#${sheet}`, { replace: true, sheet: true })} />;
}

/** How the last scan into this document ended, if it ended early and nobody asked for that. */
function usePartial(document: Document): [{ why: Reason; pages: number } | undefined, () => void] {
  const { value: job } = useLastJob(document);
  const [dismissed, setDismissed] = useState(() => tab.read<string>('dismissed'));
  const why = job?.reasons?.find((r) => r.startsWith('partial-') && r !== 'partial-finished-by-user');
  const dismiss = (): void => {
    if (!job) return;
    tab.write('dismissed', job.id);
    setDismissed(job.id);
  };
  return [job && why && job.id !== dismissed ? { why, pages: job.pages } : undefined, dismiss];
}

/** Moving without dragging: to an end, by a step, or into a gap. */
function MoveSheet({ open, onClose, pages, chosen, onStep, onMove }: {
  open: boolean;
  onClose: () => void;
  pages: PageKey[];
  chosen: PageKey[];
  onStep: (direction: Direction) => void;
  onMove: (after: PageKey | null) => void;
}) {
  const rest = pages.map((key, i) => ({ key, n: i + 1 })).filter(({ key }) => !chosen.includes(key));
  return (
    <Sheet open={open} onClose={onClose} title={t('doc.move.title')} panel>
      <div class="tools">
        <Tool icon="arrow-left-to-line" label={t('doc.move.first')} onClick={() => onStep('first')} />
        <Tool icon="arrow-left" label={t('doc.move.earlier')} onClick={() => onStep('earlier')} />
        <Tool icon="arrow-right" label={t('doc.move.later')} onClick={() => onStep('later')} />
        <Tool icon="arrow-right-to-line" label={t('doc.move.last')} onClick={() => onStep('last')} />
      </div>
      <p class="label quiet">{t('doc.move.hint')}</p>
      <div class="gap-buttons">
        <Button class="wide small" onClick={() => onMove(null)}>{t('doc.move.before-first')}</Button>
        {rest.map(({ key, n }) => <Button key={key} class="wide small" data-after={n} onClick={() => onMove(key)}>{t('doc.move.after', { n })}</Button>)}
      </div>
    </Sheet>
  );
}

function RenameSheet({ open, onClose, name, onRename }: { open: boolean; onClose: () => void; name: string; onRename: (name: string) => void }) {
  const [text, setText] = useState(name);
  const id = useId();
  useEffect(() => {
    if (open) setText(name);
  }, [open]);
  const save = (): void => {
    const clean = text.trim().slice(0, 200);
    if (clean) onRename(clean);
    onClose();
  };
  return (
    <Sheet open={open} onClose={onClose} title={t('doc.rename')} foot={<Button kind="primary" disabled={!text.trim()} onClick={save}>{t('done')}</Button>}>
      <form class="field" onSubmit={(event) => {
        event.preventDefault();
        save();
      }}>
        <label for={id}>{t('doc.name')}</label>
        <input id={id} type="text" maxLength={200} autofocus value={text} onFocus={(event) => event.currentTarget.select()} onInput={(event) => setText(event.currentTarget.value)} />
      </form>
    </Sheet>
  );
}

function EraseSheet({ open, onClose, id, name, count }: { open: boolean; onClose: () => void; id: string; name: string; count: number }) {
  const [error, setError] = useState<unknown>();
  const erase = async (): Promise<void> => {
    try {
      await platen.deleteDocument(id);
      showToast(t('doc.deleted', { name }));
      navigate('/documents', { replace: true });
    } catch (problem) {
      setError(problem);
    }
  };
  return (
    <Sheet open={open} onClose={onClose} title={t('doc.delete.ask', { count })} foot={<>
      <Button class="first" onClick={onClose}>{t('cancel')}</Button>
      <Button kind="danger" onClick={() => void erase()}>{t('doc.delete')}</Button>
    </>}>
      <p>{t('doc.delete.text')}</p>
      {error !== undefined && <ProblemNote error={error} />}
    </Sheet>
  );
}
