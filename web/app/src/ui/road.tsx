import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { language, textsOf } from '../i18n/index.js';
import { behindGateway } from '../store/session.js';

interface RoadLineProps {
  /** The scanner computer. */
  node: string;
  name: string;
}

let loaded: ComponentType<RoadLineProps> | undefined;

/** How pages come here, small and quiet. Where no gateway is between there is nothing to say. */
export function RoadLine(props: RoadLineProps) {
  const [, redraw] = useState(0);
  const between = behindGateway();
  useEffect(() => {
    if (!between || loaded) return;
    import('../roads/line.js').then(async (m) => {
      await textsOf(language.get());
      loaded = m.RoadLine;
      redraw(1);
    }).catch(() => {}); // pages come without words about their way
  }, [between]);
  if (!between) return null;
  const Line = loaded;
  return <div class="road-line label quiet">{Line && <Line {...props} />}</div>;
}
