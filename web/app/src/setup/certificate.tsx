import type { Certificate, Setup } from '@platen/sdk';
import { useId, useState } from 'preact/hooks';
import { date } from '../i18n/index.js';
import { act } from '../ui/act.js';
import { Banner, Field, ProblemNote } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Sheet } from '../ui/sheet.js';
import { showToast } from '../ui/toast.js';
import { api, type Slot } from './api.js';
import { t } from './words.js';

/** The certificate of a slot, when it ends, and how to replace it. Without one, this installation's CA vouches. */
export function CertificateCard({ slot, setup, onDone }: { slot: Slot; setup: Setup; onDone: () => void }) {
  const [open, setOpen] = useState(false);
  const certificate = setup.certificates.find((c) => c.name === slot);
  return (
    <div class="setup-certificate" data-certificate={slot}>
      <h4>{t(`certificate.${slot}`)}</h4>
      <p>{t(`certificate.${certificate?.source ?? 'internal'}`)}</p>
      {certificate && <Facts of={certificate} />}
      <div class="actions">
        <Button class="small" data-action="upload" onClick={() => setOpen(true)}>{t(certificate?.source === 'own' ? 'certificate.replace' : 'certificate.upload')}</Button>
        {certificate?.source === 'own' && <Button kind="plain" class="small" data-action="remove" onClick={() => void act(() => api.deleteCertificate(slot), t('certificate.done')).then(onDone)}>{t('certificate.remove')}</Button>}
      </div>
      {open && <Upload slot={slot} onClose={() => setOpen(false)} onDone={onDone} />}
    </div>
  );
}

function Facts({ of: { state, hosts, notAfter, fingerprint, problem } }: { of: Certificate }) {
  const ends = notAfter ? date(notAfter) : '';
  return (
    <>
      {hosts.length > 0 && <p class="label quiet">{t('certificate.hosts', { hosts: hosts.join(', ') })}</p>}
      {(state === 'soon' || state === 'urgent' || state === 'expired')
        ? <Banner icon="triangle-alert" tone={state === 'soon' ? 'warn' : 'bad'} title={t(`certificate.${state}`, { date: ends })} />
        : ends && <p class="label quiet">{t('certificate.until', { date: ends })}</p>}
      {state === 'failed' && <Banner icon="circle-alert" tone="bad" title={t('certificate.bad')}><p class="label" lang="en">{problem}</p></Banner>}
      {fingerprint && <p class="label quiet">{t('certificate.print')}<br /><code data-fingerprint>{fingerprint.split(':').map((pair, i) => <>{i > 0 && <>:<wbr /></>}{pair}</>)}</code></p>}
    </>
  );
}

/** The CA of this installation: its fingerprint to compare, and where devices get it. `plain` is the page about it. */
export function CA({ setup, plain }: { setup: Setup; plain: string | undefined }) {
  const ca = setup.certificates.find((c) => c.name === 'ca');
  if (!ca) return null;
  return (
    <div class="setup-certificate" data-certificate="ca">
      <h4>{t('certificate.ca')}</h4>
      <p class="label quiet">{t('certificate.ca.text')}</p>
      <Facts of={{ ...ca, hosts: [] }} />
      {plain && <p class="label">{t('certificate.ca.where', { address: plain })}</p>}
      <div class="actions"><a class="button outlined small" href="/platen-ca.crt" download="platen-ca.crt">{t('certificate.ca.save')}</a></div>
    </div>
  );
}

function Upload({ slot, onClose, onDone }: { slot: Slot; onClose: () => void; onDone: () => void }) {
  const ids = { certificate: useId(), key: useId() };
  const [pem, setPem] = useState({ certificate: '', key: '' });
  const [error, setError] = useState<unknown>();
  const put = async (): Promise<void> => {
    setError(undefined);
    try {
      await api.putCertificate(slot, pem.certificate, pem.key);
      showToast(t('certificate.done'));
      onDone();
      onClose();
    } catch (problem) {
      setError(problem);
    }
  };
  const pick = (part: 'certificate' | 'key') => async (event: { currentTarget: HTMLInputElement }): Promise<void> => {
    const text = await event.currentTarget.files?.[0]?.text();
    if (text !== undefined) setPem((was) => ({ ...was, [part]: text }));
  };
  return (
    <Sheet open onClose={onClose} title={t(`certificate.${slot}`)} foot={<Button kind="primary" data-action="put" disabled={!pem.certificate || !pem.key} onClick={() => void put()}>{t('certificate.put')}</Button>}>
      <Field label={t('certificate.file')} for={ids.certificate}><input id={ids.certificate} type="file" name="certificate" accept=".pem,.crt,.cer" onChange={(event) => void pick('certificate')(event)} /></Field>
      <Field label={t('certificate.key')} hint={t('certificate.key.text')} for={ids.key}><input id={ids.key} type="file" name="key" accept=".pem,.key" onChange={(event) => void pick('key')(event)} /></Field>
      {error !== undefined && <ProblemNote error={error} />}
    </Sheet>
  );
}
