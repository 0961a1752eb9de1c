import { ProblemError, type LicenseItem, type List, type Seat } from '@platen/sdk';
import { useState } from 'preact/hooks';
import { date, sameDay, time } from '../i18n/index.js';
import { navigate } from '../router.js';
import { may } from '../store/session.js';
import { act } from '../ui/act.js';
import { Banner, Empty, ProblemScreen, Skeletons } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Confirm } from '../ui/confirm.js';
import { Bar, Screen } from '../ui/frame.js';
import { useLoad } from '../ui/use.js';
import { licences } from './api.js';
import { UsageBar } from './bar.js';
import { KeyFacts, KeyProblem, KeyState } from './key.js';
import { seated } from './state.js';
import { t } from './words.js';

/** At a time: an item may have thousands. */
const part = 100;

/** One key that is handed out: how much of it is gone, who holds it, and what an administrator may do with it. */
export function ItemScreen({ id }: { id: string }) {
  const loaded = useLoad((signal) => licences.item(id, signal), [id]);
  const [removing, setRemoving] = useState(false);
  const [working, setWorking] = useState(false);
  const item = loaded.value;
  const suspend = async (suspended: boolean): Promise<void> => {
    setWorking(true);
    await act(async () => loaded.set(await licences.suspendItem(id, suspended)), t(suspended ? 'item.suspended' : 'item.resumed'));
    setWorking(false);
  };
  const gone = loaded.error instanceof ProblemError && loaded.error.code === 'not-found';
  return (
    <Screen title={item ? item.key.customer || item.key.organisation : t('title')} up="/licences" class="licences" bar={item && may('admin') && <Bar id={item.suspended ? 'suspended' : 'item'}>
      <Button kind="danger-plain" data-action="remove-item" onClick={() => setRemoving(true)}>{t('item.remove')}</Button>
      <Button kind={item.suspended ? 'primary' : 'outlined'} class="primary-place" data-action={item.suspended ? 'resume-item' : 'suspend-item'} disabled={working} onClick={() => void suspend(!item.suspended)}>{t(item.suspended ? 'item.resume' : 'item.suspend')}</Button>
    </Bar>}>
      {!item && loaded.error === undefined && <Skeletons />}
      {!item && gone && <Empty icon="key-round" title={t('item.gone')} actions={<Button kind="primary" onClick={() => navigate('/licences', { replace: true })}>{t('title')}</Button>} />}
      {!item && loaded.error !== undefined && !gone && <ProblemScreen error={loaded.error} onAgain={loaded.reload} />}
      {item && <>
        {item.suspended && <Banner icon="lock" tone="warn" title={t('suspended')}><p>{t('item.suspended.text')}</p></Banner>}
        <KeyProblem licence={item.key} />
        <div class="card padded">
          <KeyState licence={item.key} />
          <UsageBar item={item} />
          <p class="label quiet">{t('items.since', { date: date(item.added) })}</p>
        </div>
        {seated(item.key) && <Seats item={item} onChange={loaded.reload} />}
        <div class="card padded"><KeyFacts licence={item.key} /></div>
      </>}
      {removing && (
        <Confirm title={t('item.remove.ask')} label={t('item.remove')} onClose={() => setRemoving(false)} onYes={async () => {
          if (await act(() => licences.removeItem(id), t('item.removed'))) navigate('/licences', { replace: true });
        }}>{t('item.remove.text')}</Confirm>
      )}
    </Screen>
  );
}

/** Seats last for minutes or for a year. */
function when(at: string): string {
  return sameDay(at, Date.now()) ? time(at) : date(at);
}

/** Who holds seats, in the order of their numbers. */
function Seats({ item, onChange }: { item: LicenseItem; onChange: () => void }) {
  const { id } = item.key;
  const loaded = useLoad((signal) => licences.seats(id, { limit: part }, signal), [id]);
  const [releasing, setReleasing] = useState<Seat>();
  const [loading, setLoading] = useState(false);
  const list = loaded.value;
  const showMore = async (): Promise<void> => {
    setLoading(true);
    await act(async () => {
      const more: List<Seat> = await licences.seats(id, { limit: part, cursor: list!.next! });
      loaded.set({ ...more, items: [...list!.items, ...more.items] });
    });
    setLoading(false);
  };
  return (
    <section aria-labelledby="seats">
      <h2 id="seats">{t('seats')}</h2>
      {!list && loaded.error === undefined && <Skeletons count={2} />}
      {!list && loaded.error !== undefined && <ProblemScreen error={loaded.error} onAgain={loaded.reload} />}
      {list?.items.length === 0 && <p class="quiet">{t('seats.empty')}</p>}
      {list && list.items.length > 0 && (
        <ul class="card list">
          {list.items.map((seat) => (
            <li class="row" key={seat.seat} data-seat={seat.seat}>
              <span class="badge numbers">{seat.seat}</span>
              <span class="text">
                <span class="head middle-cut">{seat.holder}</span>
                {seat.origin && <span class="label quiet">{seat.origin}</span>}
                <span class="label quiet">{t('seats.since', { since: when(seat.since), until: when(seat.until) })}</span>
              </span>
              {may('admin') && <Button kind="danger-plain" class="small" data-action="release-seat" onClick={() => setReleasing(seat)}>{t('seats.release')}</Button>}
            </li>
          ))}
        </ul>
      )}
      {list?.next && <Button class="wide" disabled={loading} onClick={() => void showMore()}>{t('items.more')}</Button>}
      {releasing && (
        <Confirm title={t('seats.release.ask', { seat: releasing.seat })} label={t('seats.release')} onClose={() => setReleasing(undefined)} onYes={async () => {
          if (!(await act(() => licences.releaseSeat(id, releasing.seat), t('seats.released', { seat: releasing.seat })))) return;
          loaded.set({ ...list!, items: list!.items.filter((s) => s.seat !== releasing.seat) });
          onChange();
        }}>{t('seats.release.text', { holder: releasing.holder, until: when(releasing.until) })}</Confirm>
      )}
    </section>
  );
}
