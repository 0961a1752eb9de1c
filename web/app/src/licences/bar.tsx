import type { LicenseItem } from '@platen/sdk';
import { counted, shareOf } from './state.js';
import { t, type Key } from './words.js';

/** "4,310 of 10,000 pages were used this month", and what is set aside. */
function usedText({ key, used }: LicenseItem): string {
  const { kind, period, quantity = 0 } = key;
  if (quantity === 0) return t(`used.free.${kind}` as Key, { count: used });
  return t(`used.${kind}${kind === 'page' && period ? `.${period}` : ''}` as Key, { used, quantity });
}

/** How much of an item is gone: a bar where it has an end, and words in any case. */
export function UsageBar({ item }: { item: LicenseItem }) {
  if (!counted(item.key)) return null;
  const share = shareOf(item);
  const text = usedText(item);
  return (
    <span class="usage">
      {share && (
        <span class={`usage-bar ${share.tone}`} role="meter" aria-label={t('usage')} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(share.used)} aria-valuetext={text}>
          <span style={{ width: `${share.used}%` }} />
          <span class="reserved" style={{ width: `${share.reserved}%` }} />
        </span>
      )}
      <span class={`label numbers ${share?.tone === 'bad' ? 'bad-text' : 'quiet'}`}>{text}</span>
      {item.reserved ? <span class="label quiet numbers">{t('reserved', { count: item.reserved })}</span> : null}
    </span>
  );
}
