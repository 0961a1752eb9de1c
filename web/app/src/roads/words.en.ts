/** How pages come here. */
export const en = {
  'road.direct': 'Directly from {node}',
  'road.gateway': 'Through the gateway',
  'road.connect': 'Connect directly',
  'road.ask': 'Your browser will ask whether this page may reach devices on your network. Allow it, and pages come straight from “{node}”.',
  'road.ask.else': 'Without it, pages come through the gateway as before.',
  'road.not-now': 'Not now',
  'road.denied': 'This browser does not let the page reach “{node}”. To change that, open the browser’s settings for this site and allow devices on your network.',
  'road.unverified': 'What answers nearby could not prove that it is “{node}”; nothing was sent there. Pages come through the gateway.',
} as const;

export type Key = keyof typeof en;
