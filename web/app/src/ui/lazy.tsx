import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { language, t, textsOf } from '../i18n/index.js';
import { Empty, Skeletons } from './bits.js';
import { Button } from './button.js';
import { Screen } from './frame.js';
import { showToast } from './toast.js';

/**
 * A screen whose code is fetched when it is first shown. A newer service has no old code: then the page is loaded anew. A `part` of a
 * screen, as a sheet, shows nothing until it is there.
 */
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>, part = false): ComponentType<P> {
  let loaded: ComponentType<P> | undefined;
  return function Lazy(props: P) {
    const [, redraw] = useState(0);
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (loaded) return;
      load().then(async (component) => {
        await textsOf(language.get());
        return component;
      }).then(
        (component) => {
          loaded = component;
          redraw(1);
        },
        () => {
          setFailed(true);
          if (part) showToast(`${t('error.connection')} ${t('error.connection.next')}`, { label: t('error.reload'), run: () => location.reload() });
        },
      );
    }, []);
    if (loaded) {
      const Loaded = loaded;
      return <Loaded {...props} />;
    }
    if (part) return null;
    return (
      <Screen title="Platen" up="/">
        {failed ? <Empty icon="wifi-off" title={t('error.connection')} actions={<Button kind="primary" onClick={() => location.reload()}>{t('error.reload')}</Button>}>{t('error.connection.next')}</Empty> : <Skeletons />}
      </Screen>
    );
  };
}
