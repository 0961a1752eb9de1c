import type { Capabilities, ColorMode, DeviceOption, Region, Settings, Source, SourceCapabilities } from '@platen/sdk';

/** Settings as the user chose them; what is absent is for the scanner to choose. */
export type Chosen = Settings;

export function sourceOf(capabilities: Capabilities, source: Source | undefined): SourceCapabilities | undefined {
  return capabilities.sources.find((s) => s.source === source)
    ?? capabilities.sources.find((s) => s.source === capabilities.defaults.source)
    ?? capabilities.sources[0];
}

type Resolutions = SourceCapabilities['resolutions'];

export function hasResolution(r: Resolutions, dpi: number): boolean {
  if (r.values?.length) return r.values.includes(dpi);
  const { min = 0, max = 0, step = 1 } = r;
  return dpi >= min && dpi <= max && (step <= 1 || (dpi - min) % step === 0);
}

/** The resolution closest to dpi that the source has, the finer of two equals. */
export function nearest(r: Resolutions, dpi: number): number {
  if (r.values?.length) {
    return r.values.reduce((best, v) => (Math.abs(v - dpi) < Math.abs(best - dpi) || (Math.abs(v - dpi) === Math.abs(best - dpi) && v > best) ? v : best));
  }
  const { min = 0, max = 0, step = 1 } = r;
  const bounded = Math.min(Math.max(dpi, min), max);
  if (step <= 1) return bounded;
  const steps = Math.floor((bounded - min + step / 2) / step);
  const value = min + steps * step;
  return value > max ? value - step : value;
}

export type QualityName = 'small' | 'normal' | 'fine';
const wanted: Record<QualityName, number> = { small: 150, normal: 300, fine: 600 };

/** The three qualities as this source has them. Two that come out the same are one. */
export function qualities(source: SourceCapabilities): { name: QualityName; dpi: number }[] {
  const seen = new Set<number>();
  const found: { name: QualityName; dpi: number }[] = [];
  for (const name of ['normal', 'small', 'fine'] as const) {
    const dpi = nearest(source.resolutions, wanted[name]);
    if (dpi > 0 && !seen.has(dpi)) found.push({ name, dpi });
    seen.add(dpi);
  }
  return found.sort((a, b) => a.dpi - b.dpi);
}

export interface Paper {
  name: string;
  width: number;
  height: number;
}

/** In millimetres. */
export const papers: Paper[] = [
  { name: 'A4', width: 210, height: 297 },
  { name: 'A5', width: 148, height: 210 },
  { name: 'A3', width: 297, height: 420 },
  { name: 'Letter', width: 215.9, height: 279.4 },
  { name: 'Legal', width: 215.9, height: 355.6 },
  { name: '10 × 15', width: 100, height: 150 },
];

const slack = 0.5; // a device that reports 209.97 mm takes A4

export function fits(source: SourceCapabilities, region: Region): boolean {
  const a = source.area;
  return region.x + region.width <= a.maxWidth + slack && region.y + region.height <= a.maxHeight + slack
    && region.width >= (a.minWidth ?? 0) - slack && region.height >= (a.minHeight ?? 0) - slack;
}

export function regionOf(paper: Paper): Region {
  return { x: 0, y: 0, width: paper.width, height: paper.height };
}

export function paperOf(region: Region | undefined): Paper | undefined {
  return region && papers.find((p) => Math.abs(p.width - region.width) < slack && Math.abs(p.height - region.height) < slack);
}

/** Letter where people use inches, A4 elsewhere. The other one is offered too. */
export function papersFor(source: SourceCapabilities, locale: string): Paper[] {
  const inches = /-(US|CA|MX|PH|CL|CO)\b/.test(locale);
  const all = papers.filter((p) => fits(source, regionOf(p)));
  return inches ? all.sort((a, b) => rank(a) - rank(b)) : all;
}

function rank(p: Paper): number {
  return p.name === 'Letter' ? 0 : p.name === 'Legal' ? 1 : 2;
}

/** What had to change so that the scanner can do it; said to the user. */
export type Adjustment = { what: 'quality'; dpi: number } | { what: 'colour'; mode: ColorMode } | { what: 'paper' };

/** Makes settings fit their source, changing as little as possible. */
export function adjust(capabilities: Capabilities, chosen: Chosen): { settings: Chosen; adjustments: Adjustment[] } {
  const source = sourceOf(capabilities, chosen.source);
  if (!source) return { settings: {}, adjustments: [] };
  const settings: Chosen = { ...chosen, source: source.source };
  const adjustments: Adjustment[] = [];

  let mode = source.modes.find((m) => m.mode === settings.mode);
  if (settings.mode && !mode) {
    mode = source.modes.find((m) => m.mode === source.defaults?.mode) ?? source.modes[0];
    delete settings.mode;
    if (mode) {
      settings.mode = mode.mode;
      adjustments.push({ what: 'colour', mode: mode.mode });
    }
  }
  if (settings.depth && mode && !mode.depths.includes(settings.depth)) delete settings.depth;
  const depth = settings.depth ?? mode?.depths[0];
  if (settings.format && (!capabilities.formats.includes(settings.format) || (settings.format === 'jpeg' && depth !== undefined && depth !== 8))) delete settings.format;

  if (settings.resolution && !hasResolution(source.resolutions, settings.resolution)) {
    settings.resolution = nearest(source.resolutions, settings.resolution);
    adjustments.push({ what: 'quality', dpi: settings.resolution });
  }
  if (settings.region && !fits(source, settings.region)) {
    delete settings.region;
    adjustments.push({ what: 'paper' });
  }
  if (settings.options) {
    const kept = Object.entries(settings.options).filter(([name, value]) => {
      const option = capabilities.options?.find((o) => o.name === name);
      return option && takes(option, value);
    });
    if (kept.length) settings.options = Object.fromEntries(kept);
    else delete settings.options;
  }
  return { settings, adjustments };
}

/** Options that a person can set here; an inactive one counts once the setting that it belongs to is on. */
export function settable(option: DeviceOption): boolean {
  return !option.readOnly && option.type !== 'button';
}

/** Reports whether the device can take this value, by what it said of the option. */
export function takes(option: DeviceOption, value: string): boolean {
  switch (option.type) {
    case 'bool':
      return value === 'yes' || value === 'no';
    case 'int':
    case 'fixed': {
      const v = Number(value);
      if (value.trim() === '' || !Number.isFinite(v) || (option.type === 'int' && !Number.isInteger(v))) return false;
      if (option.values?.length) return option.values.some((known) => Number(known) === v);
      return v >= (option.min ?? -Infinity) && v <= (option.max ?? Infinity);
    }
    case 'string':
      return !option.values?.length || option.values.includes(value);
    default:
      return false;
  }
}

export function feeds(source: Source | undefined): boolean {
  return source === 'adf' || source === 'adf-duplex';
}
