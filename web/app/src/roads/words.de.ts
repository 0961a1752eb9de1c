import type { Key } from './words.en.js';

export const de: Record<Key, string> = {
  'road.direct': 'Direkt von {node}',
  'road.gateway': 'Über das Gateway',
  'road.connect': 'Direkt verbinden',
  'road.ask': 'Ihr Browser fragt gleich, ob diese Seite Geräte in Ihrem Netzwerk erreichen darf. Mit Ihrer Erlaubnis kommen die Seiten direkt von „{node}“.',
  'road.ask.else': 'Ohne sie kommen die Seiten weiter über das Gateway.',
  'road.not-now': 'Jetzt nicht',
  'road.denied': 'Dieser Browser lässt die Seite „{node}“ nicht erreichen. Zum Ändern in den Browser-Einstellungen für diese Website Geräte im Netzwerk erlauben.',
  'road.unverified': 'Was in der Nähe antwortet, konnte nicht beweisen, dass es „{node}“ ist. Dorthin ging nichts. Die Seiten kommen über das Gateway.',
};
