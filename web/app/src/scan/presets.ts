import type { Capabilities, ColorMode, Settings, Source, SourceCapabilities, Status } from '@platen/sdk';
import type { Key } from '../i18n/index.js';
import type { IconName } from '../ui/icon.js';
import { nearest, sourceOf } from './settings.js';

export interface Preset {
  id: 'document' | 'both-sides' | 'photo' | 'grey' | 'text';
  icon: IconName;
  name: Key;
  what: Key;
  slots: Record<string, string>;
  settings: Settings;
  /** The source depends on what lies in the feeder. */
  auto: boolean;
}

/** The four buttons of a scanner, from what it can do and what lies in its feeder now. */
export function presets(capabilities: Capabilities, status: Status, last?: Source): Preset[] {
  const glass = capabilities.sources.find((s) => s.source === 'platen');
  const duplex = capabilities.sources.find((s) => s.source === 'adf-duplex');
  const main = mainSource(capabilities, status, last);
  if (!main) return [];
  const auto = glass !== undefined && capabilities.sources.length > 1;
  const found: Preset[] = [
    {
      id: 'document',
      icon: 'file-text',
      name: 'scan.preset.document',
      what: `scan.preset.document.${glass && main !== glass && status.feeder !== 'loaded' ? 'auto' : main === glass ? 'glass' : 'feeder'}`,
      slots: {},
      settings: make(main, 300, 'color'),
      auto,
    },
  ];
  if (duplex) {
    found.push({ id: 'both-sides', icon: 'both-sides', name: 'scan.preset.both-sides', what: 'scan.preset.both-sides.what', slots: {}, settings: make(duplex, 300, 'color'), auto: false });
  }
  if (glass) {
    const settings = { ...make(glass, 600, 'color'), quality: 92 };
    found.push({ id: 'photo', icon: 'image', name: 'scan.preset.photo', what: 'scan.preset.photo.what', slots: { dpi: String(settings.resolution) }, settings, auto: false });
  }
  if (main.modes.some((m) => m.mode === 'lineart')) {
    found.push({ id: 'text', icon: 'contrast', name: 'scan.preset.text', what: 'scan.preset.text.what', slots: {}, settings: make(main, 300, 'lineart'), auto });
  }
  if (found.length < 4 && main.modes.some((m) => m.mode === 'gray')) {
    found.push({ id: 'grey', icon: 'contrast', name: 'scan.preset.grey', what: 'scan.preset.grey.what', slots: {}, settings: make(main, 300, 'gray'), auto });
  }
  return found.slice(0, 4);
}

/** The feeder if paper lies in it, else the glass. A feeder that cannot tell counts if it was used last. */
function mainSource(capabilities: Capabilities, status: Status, last: Source | undefined): SourceCapabilities | undefined {
  const feeder = capabilities.sources.find((s) => s.source === 'adf') ?? capabilities.sources.find((s) => s.source === 'adf-duplex');
  const glass = capabilities.sources.find((s) => s.source === 'platen');
  if (!glass) return feeder;
  if (!feeder) return glass;
  if (status.feeder === 'loaded') return feeder;
  if (status.feeder === 'unknown' && last && last !== 'platen') return feeder;
  return glass;
}

function make(source: SourceCapabilities, dpi: number, mode: ColorMode): Settings {
  const offered = source.modes.find((m) => m.mode === mode) ?? source.modes[0];
  return {
    source: source.source,
    resolution: nearest(source.resolutions, dpi),
    ...(offered ? { mode: offered.mode } : {}),
    ...(offered?.mode !== 'lineart' && offered?.depths.includes(8) ? { depth: 8 } : {}),
  };
}

/** What the settings sheet begins with. */
export function firstSettings(capabilities: Capabilities, status: Status): Settings {
  const source = mainSource(capabilities, status, undefined) ?? sourceOf(capabilities, undefined);
  return source ? make(source, source.defaults?.resolution ?? 300, source.defaults?.mode ?? 'color') : {};
}
