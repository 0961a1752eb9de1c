import type { ProblemWords } from './shape.js';

/** Problems of licences, of counted pages and of modules. */
export const licences: Record<string, ProblemWords> = {
  'license-missing': {
    what: 'Das braucht eine Lizenz, und keine ist eingetragen.',
    next: 'Einem Administrator den Code unten nennen.',
  },
  'license-invalid': {
    what: 'Diese Lizenz gilt hier nicht.',
    why: 'Sie wurde nur zum Teil kopiert, oder ihrem Anbieter wird hier nicht vertraut.',
    next: 'Einem Administrator den Code unten nennen.',
  },
  'license-expired': {
    what: 'Die Lizenz ist abgelaufen.',
    next: 'Einen Administrator bitten, sie zu verlängern. Was gescannt wurde, ist noch da.',
  },
  'license-not-yet-valid': {
    what: 'Die Lizenz gilt noch nicht.',
    why: 'Ihr erster Tag ist noch nicht da, oder eine Uhr geht falsch.',
    next: 'Diesen Tag abwarten oder einen Administrator nach der Uhr sehen lassen.',
  },
  'license-elsewhere': {
    what: 'Die Lizenz gehört an einen anderen Ort.',
    why: 'Sie wurde für ein anderes Gateway oder einen anderen Computer gemacht.',
    next: 'Einen Administrator um eine für diesen Ort bitten.',
  },
  'license-origin': {
    what: 'Die Lizenz nennt diese Webseite nicht.',
    next: 'Einen Administrator bitten, die Adresse der Seite aufnehmen zu lassen.',
  },
  'license-both': {
    what: 'Ein Produktschlüssel und ein Handshake-Code sind beide eingetragen.',
    next: 'Einen Administrator bitten, eines davon zu entfernen.',
  },
  'license-revoked': {
    what: 'Die Lizenz wurde zurückgezogen oder ersetzt.',
    next: 'Einen Administrator bitten, die neuere einzutragen.',
  },
  'license-seats-taken': {
    what: 'Alle Plätze der Lizenz sind belegt.',
    next: 'Warten, bis einer frei ist, oder einen Administrator bitten, einen freizugeben.',
  },
  'license-pages-used': {
    what: 'Die Seiten der Lizenz sind verbraucht.',
    next: 'Einen Administrator um weitere bitten. Was gescannt wurde, ist noch da.',
  },
  'license-module': {
    what: 'Das ist in der Lizenz nicht enthalten.',
    next: 'Einen Administrator bitten, es in die Lizenz aufnehmen zu lassen.',
  },
  'license-clock': {
    what: 'Die Uhr des Computers ging zurück.',
    why: 'Niemand kann sagen, ob die Lizenz noch gilt.',
    next: 'Die Uhr richtig stellen und diesen Computer mit seinem Netzwerk verbinden.',
  },
  'handshake-unknown': {
    what: 'Diesen Handshake-Code kennt niemand.',
    next: 'Mit einem Administrator die Schreibweise prüfen.',
  },
  'tracking-offline': {
    what: 'Der Server, der die Lizenz zählt, antwortet nicht.',
    why: 'Die Zeit, in der man ohne ihn scannen kann, ist vorbei.',
    next: 'Später nochmals versuchen. Was gescannt wurde, ist noch da.',
  },
  'receipt-missing': {
    what: 'Der Scanner-Computer hat diese Seite nicht abgerechnet.',
    next: 'Einen Administrator nach diesem Computer sehen lassen.',
  },
  'receipt-invalid': {
    what: 'Die Seiten sind nicht so abgerechnet, wie es sein soll.',
    next: 'Einen Administrator nach dem Scanner-Computer sehen lassen.',
  },
  'receipt-gap': {
    what: 'In der Zählung fehlen Seiten vor diesen.',
    next: 'Einen Moment warten. Sie werden von selbst nochmals gezählt.',
  },
  'item-exists': {
    what: 'Diese Lizenz oder diesen Handshake-Code gibt es schon.',
    next: 'Sie ändern oder zuerst entfernen.',
  },
  'module-missing': {
    what: 'Dem Scanner-Computer fehlt dafür ein Programm.',
    next: 'Einen Administrator bitten, zu installieren, was unten steht.',
  },
  'module-failed': {
    what: 'Diese Seite konnte nicht gelesen werden.',
    next: 'Sie mit höherer Auflösung nochmals scannen.',
  },
  'file-damaged': {
    what: 'Diese Datei kann nicht gelesen werden.',
    why: 'Sie ist beschädigt oder hat ein Kennwort.',
    next: 'Prüfen, ob sie sich in einem anderen Programm öffnet.',
  },
};
