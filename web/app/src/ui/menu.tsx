import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { language, languages, setLanguage, t, type Language } from '../i18n/index.js';
import { useSheet } from '../router.js';
import { leftHanded } from '../store/hand.js';
import { isTracking, may, session, signOut } from '../store/session.js';
import { useStore } from '../store/store.js';
import { Switch } from './bits.js';
import { IconButton, Link } from './button.js';
import { Icon, type IconName } from './icon.js';
import { Sheet } from './sheet.js';
import { showToast } from './toast.js';
import { explain } from '../i18n/words.js';

export function MenuRow({ icon, label, note, onClick, danger }: { icon: IconName; label: string; note?: string; onClick: () => void; danger?: boolean }) {
  return (
    <button type="button" class={`row ${danger ? 'danger' : ''}`} onClick={onClick}>
      <Icon name={icon} />
      <span class="text"><span class="head">{label}</span>{note && <span class="label quiet">{note}</span>}</span>
    </button>
  );
}

function MenuLink({ icon, label, to }: { icon: IconName; label: string; to: string }) {
  return (
    <Link class="row" to={to}>
      <Icon name={icon} />
      <span class="text head">{label}</span>
    </Link>
  );
}

/** The one overflow of every screen: what the screen adds, then what is always there. */
export function MenuButton({ children }: { children: ComponentChildren }) {
  const sheet = useSheet('menu');
  const now = useStore(session);
  const hand = useStore(leftHanded);
  const select = useId();
  if (now.state !== 'in') return null;
  const { service, session: own } = now;
  const leave = async (): Promise<void> => {
    try {
      await signOut();
    } catch (error) {
      showToast(explain(error).what);
    }
  };
  return (
    <>
      <IconButton icon="ellipsis-vertical" label={t('more')} aria-haspopup="dialog" onClick={sheet.show} />
      <Sheet open={sheet.open} onClose={sheet.hide} title={service.name ?? 'Platen'} rows>
        {children}
        {isTracking() ? may('operator') && <MenuLink icon="key-round" label={t('menu.licences')} to="/licences" /> : <>
          <MenuLink icon="scanner" label={t('menu.scanners')} to="/scanners" />
          <MenuLink icon="files" label={t('menu.documents')} to="/documents" />
        </>}
        {may('operator') && <MenuLink icon="smartphone" label={t('menu.connect')} to="/connect" />}
        {may('admin') && <MenuLink icon="users-round" label={t('menu.admin')} to="/admin" />}
        <MenuLink icon="user-round" label={t('account.title')} to="/account" />
        <div class="row">
          <Icon name="languages" />
          <label class="text head" for={select}>{t('menu.language')}</label>
          <select id={select} style={{ width: 'auto' }} value={language.get()} onChange={(event) => void setLanguage(event.currentTarget.value as Language)}>
            {Object.entries(languages).map(([tag, name]) => <option key={tag} value={tag} lang={tag}>{name}</option>)}
          </select>
        </div>
        <div class="row">
          <Icon name="arrow-left-to-line" />
          <div class="text head">
            <Switch label={t('menu.left-handed')} checked={hand} onChange={(on) => leftHanded.set(on)} />
          </div>
        </div>
        {own.id !== 'loopback' && <MenuRow icon="log-out" label={t('menu.sign-out')} onClick={() => void leave()} />}
        <p class="row caption quiet">
          {[own.name, t('menu.role', { role: t(`role.${own.role}`) }), service.version && t('menu.version', { version: service.version })].filter(Boolean).join(' · ')}
        </p>
      </Sheet>
    </>
  );
}
