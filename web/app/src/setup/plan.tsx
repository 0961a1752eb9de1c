import type { SetupChange } from '@platen/sdk';
import { useState } from 'preact/hooks';
import { useOwn } from '../store/session.js';
import { useStore } from '../store/store.js';
import { Banner, ProblemNote } from '../ui/bits.js';
import { Button } from '../ui/button.js';
import { Bar } from '../ui/frame.js';
import { Sheet } from '../ui/sheet.js';
import { showToast } from '../ui/toast.js';
import { api } from './api.js';
import { Edits, moves, startTrial, ticketHere } from './changes.js';
import { edits } from './settings.js';
import { effectText, t } from './words.js';

/** What can be done with what was typed. Nothing happens before the plan was seen and applied. */
export function ApplyBar({ onDone }: { onDone: () => void }) {
  const values = useStore(edits);
  const own = useOwn();
  const [plan, setPlan] = useState<SetupChange>();
  const [error, setError] = useState<unknown>();
  const [working, setWorking] = useState(false);
  const close = (): void => {
    setPlan(undefined);
    setError(undefined);
  };
  const run = async (request: () => Promise<void>): Promise<void> => {
    setWorking(true);
    setError(undefined);
    try {
      await request();
    } catch (problem) {
      setError(problem);
    } finally {
      setWorking(false);
    }
  };
  const look = () => run(async () => setPlan(await api.change({ values, dryRun: true })));
  const apply = () => run(async () => {
    const secret = plan?.until && moves(plan) ? await ticketHere(own) : undefined;
    const made = await api.change({ values, confirmed: true });
    close();
    edits.set({});
    if (made.state === 'on-trial') startTrial(made, secret);
    else showToast(t('applied'));
    onDone();
  });
  const count = Object.keys(values).length;
  return (
    <>
      {count > 0 && (
        <Bar id="apply">
          <Button onClick={() => edits.set({})}>{t('discard')}</Button>
          <Button kind="primary" class="primary-place" data-action="plan" disabled={working} onClick={() => void look()}>{t('apply', { count })}</Button>
        </Bar>
      )}
      {(plan ?? error) !== undefined && (
        <Sheet open onClose={close} title={t('plan')} still foot={<>
          <Button class="first" onClick={close}>{t('plan.back')}</Button>
          {plan && error === undefined && <Button kind={plan.opens ? 'danger' : 'primary'} data-action="apply" disabled={working} onClick={() => void apply()}>{t(plan.opens ? 'plan.open' : 'plan.apply')}</Button>}
        </>}>
          {error !== undefined && <ProblemNote error={error} />}
          {plan && error === undefined && <Plan plan={plan} />}
        </Sheet>
      )}
    </>
  );
}

function Plan({ plan }: { plan: SetupChange }) {
  const effects = plan.effects.map(effectText).filter((text) => text !== undefined);
  return (
    <>
      {plan.opens && <Banner icon="triangle-alert" tone="bad" title={t('plan.opens')} />}
      <dl class="setup-facts"><Edits of={plan} /></dl>
      {effects.length > 0 && (
        <section>
          <h3>{t('plan.effects')}</h3>
          <ul class="setup-effects">{effects.map((text) => <li key={text}>{text}</li>)}</ul>
        </section>
      )}
      {plan.until && <Banner icon="clock" tone="warn" title={t('plan.trial')} />}
    </>
  );
}
