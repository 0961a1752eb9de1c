import { Fragment } from 'preact';
import { useState } from 'preact/hooks';
import { admin } from '../api.js';
import { back, navigate, useRoute } from '../router.js';
import { Banner, Empty, ProblemNote, useAfter } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Bar, Screen } from '../ui/frame.js';
import { Icon } from '../ui/icon.js';
import { judgeOrigin } from './origin.js';
import { t } from './words.js';

/** Taps that come with the page were meant for another one. Milliseconds. */
const reading = 1000;

/** A web page of others asks to scan here. A person reads which one, and decides; nothing is allowed by opening this page. */
export function AllowScreen() {
  const [asked] = useState(new URLSearchParams(useRoute().hash).get('origin') ?? '');
  const [state, setState] = useState<'asking' | 'working' | 'allowed'>('asking');
  const [error, setError] = useState<unknown>();
  const ready = useAfter(reading);
  const judged = judgeOrigin(asked);
  if (judged.verdict !== 'good') {
    return (
      <Screen title={t('allow.title')} noMenu class="allow-screen">
        <Empty icon="circle-alert" title={t('allow.malformed')} actions={<Button onClick={() => navigate('/', { replace: true })}>{t('route.home')}</Button>}>
          {t(judged.verdict === 'own' ? 'origins.own' : 'allow.malformed.text')}
        </Empty>
      </Screen>
    );
  }
  if (state === 'allowed') {
    return (
      <Screen title={t('allow.title')} noMenu class="allow-screen">
        <div class="fill" role="status"><Empty icon="circle-check" title={t('allow.done')}>{t('allow.done.text', { origin: asked })}</Empty></div>
      </Screen>
    );
  }
  const allow = async (): Promise<void> => {
    setState('working');
    setError(undefined);
    try {
      await admin.allowOrigin(asked);
      setState('allowed');
    } catch (problem) {
      setError(problem);
      setState('asking');
    }
  };
  return (
    <Screen title={t('allow.title')} noMenu class="allow-screen" bar={<Bar id="allow">
      <Button data-action="not-now" onClick={() => back('/')}>{t('allow.not-now')}</Button>
      <Button kind="primary" class="primary-place" data-action="allow" disabled={!ready || state === 'working'} onClick={() => void allow()}>{t('allow.allow')}</Button>
    </Bar>}>
      <div class="card padded center">
        <span class="badge"><Icon name="globe" /></span>
        <p>{t('allow.who')}</p>
        <p class="origin" data-origin={asked}><Origin text={asked} /></p>
        <p>{t('allow.asks')}</p>
      </div>
      {judged.plain && <Banner icon="triangle-alert" tone="warn" title={t('origins.plain')} />}
      <WhatItMay />
      <p class="label quiet">{t('allow.care')}</p>
      {error !== undefined && <ProblemNote error={error} />}
    </Screen>
  );
}

/** An origin that breaks where its parts end. */
export function Origin({ text }: { text: string }) {
  return <>{text.split(/(?=\.|:\d)/).map((part, i) => <Fragment key={i}>{part}<wbr /></Fragment>)}</>;
}

/** What an allowed web page may do, and what not. */
export function WhatItMay() {
  return (
    <ul class="may">
      <li><Icon name="check" size={20} />{t('origins.may.scan')}</li>
      <li><Icon name="check" size={20} />{t('origins.may.own')}</li>
      <li><Icon name="x" size={20} />{t('origins.may.not')}</li>
    </ul>
  );
}
