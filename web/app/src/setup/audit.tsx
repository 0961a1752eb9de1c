import type { AuditRecord } from '@platen/sdk';
import { useEffect, useState } from 'preact/hooks';
import { moment } from '../i18n/index.js';
import { ProblemNote, Skeletons } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { api } from './api.js';
import { t } from './words.js';

/** What was done here, newest first. */
export function Audit() {
  const [items, setItems] = useState<AuditRecord[]>();
  const [next, setNext] = useState<string>();
  const [error, setError] = useState<unknown>();
  const load = async (cursor?: string): Promise<void> => {
    setError(undefined);
    try {
      const list = await api.audit(cursor);
      setItems((was) => [...(cursor ? (was ?? []) : []), ...list.items]);
      setNext(list.next);
    } catch (problem) {
      setError(problem);
    }
  };
  useEffect(() => void load(), []);
  return (
    <>
      <p class="quiet">{t('audit.text')}</p>
      <div class="actions"><a class="button outlined small" href={api.auditFile()} download="platen-audit.jsonl" data-action="export"><Icon name="download" size={20} />{t('audit.export')}</a></div>
      {error !== undefined && <ProblemNote error={error} />}
      {!items && error === undefined && <Skeletons />}
      {items?.length === 0 && <p>{t('audit.empty')}</p>}
      <ul class="list setup-audit">
        {items?.map((r) => (
          <li class="row" key={r.n} data-result={r.result}>
            <Icon name={r.result === 'ok' ? 'circle-check' : 'circle-alert'} size={20} />
            <span class="text">
              <span><strong>{r.action}</strong> {t(`audit.${r.result}`)}</span>
              {(r.target ?? r.detail) && <span class="label">{[r.target, r.detail].filter(Boolean).join(' · ')}</span>}
              <span class="label quiet">{[moment(r.time), r.who, r.role, r.address, r.origin].filter(Boolean).join(' · ')}</span>
            </span>
          </li>
        ))}
      </ul>
      {next && <div class="actions"><Button onClick={() => void load(next)}>{t('audit.more')}</Button></div>}
    </>
  );
}
