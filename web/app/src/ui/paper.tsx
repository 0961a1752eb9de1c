import type { ComponentChildren, RefObject } from 'preact';
import { useEffect, useState } from 'preact/hooks';

export const a4 = 210 / 297;

interface PaperProps {
  src: string | undefined;
  alt: string;
  /** Width over height of the image as it is stored. */
  ratio?: number | undefined;
  /** Clockwise degrees. */
  rotate?: number | undefined;
  /** Shown first, while src is on its way. */
  preview?: string | undefined;
  /** What stands on the paper if the image cannot be had. */
  broken?: ComponentChildren;
  lazy?: boolean;
  box?: RefObject<HTMLDivElement | null>;
  children?: ComponentChildren;
  [data: `data-${string}`]: string | undefined;
}

/** A page: as large as its stage allows, with its edge drawn, turned as the document says. */
export function Paper({ src, alt, ratio = a4, rotate = 0, preview, broken, lazy, box, children, ...rest }: PaperProps) {
  const [state, setState] = useState<'loading' | 'there' | 'broken'>('loading');
  useEffect(() => setState('loading'), [src]);
  const sideways = rotate === 90 || rotate === 270;
  const style = { '--r': sideways ? 1 / ratio : ratio, '--turn': `${rotate}deg` };
  return (
    <div class={`paper ${sideways ? 'turned' : rotate === 180 ? 'half-turn' : ''}`} style={style} {...(box ? { ref: box } : {})} {...rest}>
      {preview && state !== 'there' && <img src={preview} alt="" draggable={false} />}
      {src && state !== 'broken' && (
        <img
          key={src}
          src={src}
          alt={alt}
          draggable={false}
          loading={lazy ? 'lazy' : 'eager'}
          decoding="async"
          class={state === 'there' ? '' : 'streaming'}
          onLoad={() => setState('there')}
          onError={() => setState('broken')}
        />
      )}
      {state === 'broken' && <div class="note label">{broken ?? alt}</div>}
      {children}
    </div>
  );
}
