import { licences } from './licences.de.js';
import type { ProblemWords, ReasonWords } from './shape.js';

/** What each problem code of proto/problem/codes.go means to a person. */
export const problems: Record<string, ProblemWords> = {
  'internal': {
    what: 'Auf dem Scanner-Computer ist etwas schiefgegangen.',
    next: 'Nochmals versuchen. Wenn es bleibt, dem Administrator die Kennung unten nennen.',
  },
  'unavailable': {
    what: 'Der Scan-Dienst ist nicht bereit.',
    why: 'Er startet, hält an oder ist ausgelastet.',
    next: 'Gleich nochmals versuchen.',
  },
  'bad-request': {
    what: 'Diese Seite hat etwas gesendet, das der Scan-Dienst nicht versteht.',
    why: 'Die Seite ist vielleicht von einer älteren Version.',
    next: 'Seite neu laden.',
  },
  'invalid-json': {
    what: 'Diese Seite hat etwas gesendet, das der Scan-Dienst nicht versteht.',
    why: 'Die Seite ist vielleicht von einer älteren Version.',
    next: 'Seite neu laden.',
  },
  'unknown-field': {
    what: 'Der Scan-Dienst kennt eine der Einstellungen nicht.',
    why: 'Diese Seite ist neuer als der Dienst, oder älter.',
    next: 'Seite neu laden.',
  },
  'body-too-large': {
    what: 'Das ist zu viel auf einmal.',
    next: 'Weniger Seiten wählen und nochmals versuchen.',
  },
  'media-type-wrong': {
    what: 'Diese Seite hat etwas in der falschen Form gesendet.',
    why: 'Die Seite ist vielleicht von einer älteren Version.',
    next: 'Seite neu laden.',
  },
  'not-found': {
    what: 'Das gibt es nicht mehr.',
    why: 'Es wurde gelöscht, oder seine Zeit war um.',
    next: 'Zurückgehen und neu wählen.',
  },
  'method-not-allowed': {
    what: 'Der Scan-Dienst kann das nicht.',
    why: 'Diese Seite ist neuer als der Dienst, oder älter.',
    next: 'Seite neu laden.',
  },
  'too-many-requests': {
    what: 'Das war zu viel in kurzer Zeit.',
    next: 'Kurz warten und nochmals versuchen.',
  },
  'bad-id': {
    what: 'Diese Adresse ist nicht vollständig.',
    why: 'Ein Teil ging verloren, vielleicht beim Kopieren.',
    next: 'Zurückgehen und neu wählen.',
  },
  'host-not-allowed': {
    what: 'Unter dieser Adresse ist der Scan-Dienst nicht bekannt.',
    next: 'Die Adresse öffnen, die neben dem Code steht.',
  },
  'origin-not-allowed': {
    what: 'Diese Webseite darf die Scanner nicht benutzen.',
    why: 'Niemand hat es bisher erlaubt.',
    next: 'Die Person fragen, die den Scan-Dienst betreibt.',
  },
  'cross-site': {
    what: 'Die Anfrage kam von einer anderen Webseite.',
    next: 'Die Seite des Scan-Dienstes selbst öffnen.',
  },
  'session-required': {
    what: 'Dieses Gerät ist noch nicht verbunden.',
    next: 'Den Code am Scanner scannen oder eingeben.',
  },
  'session-expired': {
    what: 'Die Anmeldung ist abgelaufen.',
    why: 'Sie wurde länger nicht benutzt, oder jemand hat sie beendet.',
    next: 'Den Code nochmals scannen. Offene Dokumente bleiben.',
  },
  'permission-denied': {
    what: 'Das ist hier nicht erlaubt.',
    why: 'Dafür braucht es eine andere Rolle.',
    next: 'Einen Administrator fragen.',
  },
  'plain-http-refused': {
    what: 'Unter dieser Adresse kann sich niemand anmelden.',
    why: 'Sie ist nicht verschlüsselt.',
    next: 'Die Adresse öffnen, die mit https beginnt.',
  },
  'pairing-wrong': {
    what: 'Dieser Code stimmt nicht.',
    next: 'Die Zeichen prüfen und nochmals versuchen.',
  },
  'pairing-used': {
    what: 'Dieser Code wurde schon benutzt.',
    why: 'Jeder Code gilt einmal.',
    next: 'Am Scanner einen neuen Code zeigen lassen.',
  },
  'pairing-expired': {
    what: 'Dieser Code ist abgelaufen.',
    why: 'Codes gelten 2 Minuten.',
    next: 'Am Scanner einen neuen Code zeigen lassen.',
  },
  'pairing-too-many-tries': {
    what: 'Zu viele falsche Versuche.',
    why: 'Alle gezeigten Codes sind jetzt ungültig.',
    next: 'Am Scanner einen neuen Code zeigen lassen.',
  },
  'grant-required': {
    what: 'Der Scanner-Computer hat das Gateway abgewiesen.',
    why: 'Das Gateway ist von einer älteren Version.',
    next: 'Dem Administrator sagen, dass das Gateway ein Update braucht.',
  },
  'grant-invalid': {
    what: 'Der Scanner-Computer hat das Gateway abgewiesen.',
    why: 'Die Erlaubnis des Gateways deckt das nicht.',
    next: 'Dem Administrator die Kennung unten nennen.',
  },
  'grant-expired': {
    what: 'Die Erlaubnis des Gateways ist unterwegs abgelaufen.',
    why: 'Die Uhren der beiden Computer gehen vielleicht verschieden.',
    next: 'Nochmals versuchen.',
  },
  'join-token-invalid': {
    what: 'Dieser Token stimmt nicht.',
    next: 'Den ganzen Token vom Gateway kopieren.',
  },
  'join-token-used': {
    what: 'Dieser Token wurde schon benutzt.',
    why: 'Jeder Token gilt einmal.',
    next: 'Einen neuen machen.',
  },
  'join-token-expired': {
    what: 'Dieser Token ist abgelaufen.',
    why: 'Token gelten 10 Minuten.',
    next: 'Einen neuen machen.',
  },
  'node-unknown': {
    what: 'Das Gateway kennt diesen Scanner-Computer nicht.',
    next: 'Unter Scanner-Computer nochmals hinzufügen.',
  },
  'node-revoked': {
    what: 'Dieser Scanner-Computer ist gesperrt.',
    why: 'Ein Administrator hat ihn gesperrt.',
    next: 'Den Administrator des Gateways fragen.',
  },
  'node-prefix-taken': {
    what: 'Ein anderer Scanner-Computer hat schon diese Identität.',
    why: 'Vielleicht stammen zwei Computer von derselben Kopie.',
    next: 'Diesem Computer eine neue Identität geben und nochmals hinzufügen.',
  },
  'version-not-spoken': {
    what: 'Gateway und Scanner-Computer verstehen einander nicht.',
    why: 'Ihre Versionen liegen zu weit auseinander.',
    next: 'Den älteren aktualisieren.',
  },
  'gateway-key-changed': {
    what: 'Das Gateway ist nicht das, dem dieser Computer beigetreten ist.',
    why: 'Sein Schlüssel hat sich geändert.',
    next: 'Wenn das Gateway neu eingerichtet wurde, diesen Computer nochmals hinzufügen.',
  },
  'settings-unsupported': {
    what: 'Mit diesen Einstellungen kann der Scanner nicht scannen.',
    next: 'Die Einstellung ändern und nochmals versuchen.',
  },
  'idempotency-key-missing': {
    what: 'Diese Seite hat eine unvollständige Anfrage gesendet.',
    why: 'Die Seite ist vielleicht von einer älteren Version.',
    next: 'Seite neu laden.',
  },
  'idempotency-key-reused': {
    what: 'Diese Seite hat eine Anfrage zweimal mit anderem Inhalt gesendet.',
    why: 'Die Seite ist vielleicht von einer älteren Version.',
    next: 'Seite neu laden.',
  },
  'idempotency-in-progress': {
    what: 'Der Scan wird schon gestartet.',
    next: 'Einen Moment warten.',
  },
  'job-wrong-state': {
    what: 'Der Scan ist inzwischen weiter.',
    next: 'Den jetzigen Stand ansehen.',
  },
  'queue-full': {
    what: 'Zu viele Scans warten auf diesen Scanner.',
    next: 'Später nochmals versuchen oder einen anderen Scanner wählen.',
  },
  'scanner-offline': {
    what: 'Der Scanner antwortet nicht.',
    why: 'Er ist vielleicht aus, schläft oder ist ausgesteckt.',
    next: 'Prüfen, ob er eingeschaltet und angeschlossen ist.',
  },
  'driver-failed': {
    what: 'Die Software des Scanners ist stehen geblieben und wurde neu gestartet.',
    next: 'Nochmals versuchen.',
  },
  'driver-missing': {
    what: 'Die Software für diesen Scanner ist nicht installiert.',
    next: 'Dem Administrator die Kennung unten nennen.',
  },
  'encryption-required': {
    what: 'Dieser Scanner gibt Seiten nur verschlüsselt heraus, und diese Seite hat das nicht verlangt.',
    why: 'Browser verschlüsseln nur unter einer https-Adresse und nicht in jedem privaten Fenster.',
    next: 'Diese Seite unter der https-Adresse öffnen und dort scannen.',
  },
  'sealed-for-others': {
    what: 'Diese Seiten sind für verschiedene Geräte verschlüsselt. Keines könnte die Datei öffnen.',
    next: 'Die Seiten jedes Geräts dort speichern, oder alle am Computer mit dem Scanner.',
  },
  'road-not-open': {
    what: 'Die direkte Verbindung zum Scanner-Computer ist zu Ende.',
    next: 'Nochmals versuchen. Die Seiten kommen dann über das Gateway.',
  },
  'node-offline': {
    what: 'Der Computer mit diesem Scanner ist nicht verbunden.',
    why: 'Er ist vielleicht aus, schläft oder hat kein Netz.',
    next: 'Einschalten. Seine Seiten sind dort gesichert.',
  },
  'node-needed': {
    what: 'Es ist nicht klar, welcher Scanner-Computer gemeint ist.',
    why: 'Die Seite ist vielleicht von einer älteren Version.',
    next: 'Seite neu laden.',
  },
  'disk-low': {
    what: 'Der Computer mit dem Scanner hat keinen Platz für eine weitere Seite.',
    next: 'Scans speichern und löschen, oder dort Platz schaffen.',
  },
  'storage-failed': {
    what: 'Der Computer mit dem Scanner kann nicht auf seine Festplatte schreiben.',
    why: 'Sie ist schreibgeschützt, defekt oder nicht mehr da, oder der Scan-Dienst darf dort nicht mehr schreiben.',
    next: 'Wer diesen Computer betreut, soll die Festplatte prüfen. Was vorher gescannt wurde, ist sicher.',
  },
  'page-gone': {
    what: 'Diese Seite wurde gelöscht.',
    why: 'Sie wurde abgeholt, oder ihre Zeit war um.',
    next: 'Nochmals scannen.',
  },
  'page-lost': {
    what: 'Diese Seite ist beschädigt oder weg.',
    why: 'Die Festplatte des Scanner-Computers hat sie verloren.',
    next: 'Nochmals scannen.',
  },
  'page-not-ready': {
    what: 'Diese Seite wird noch gescannt.',
    next: 'Warten, bis sie fertig ist.',
  },
  'digest-mismatch': {
    what: 'Die Seite kam nicht unverändert an.',
    why: 'Die Verbindung hat sie beschädigt.',
    next: 'Seite neu laden.',
  },
  'format-unsupported': {
    what: 'In diesem Format geht es nicht.',
    next: 'Ein anderes Format wählen.',
  },
  'range-not-satisfiable': {
    what: 'Die Seite ist kürzer als erwartet.',
    why: 'Sie wurde inzwischen neu gescannt.',
    next: 'Seite neu laden.',
  },
  'revision-conflict': {
    what: 'Das Dokument wurde auf einem anderen Gerät geändert.',
    next: 'Ansehen und die Änderung wiederholen.',
  },
  'pages-elsewhere': {
    what: 'Diese Seiten liegen auf verschiedenen Scanner-Computern.',
    why: 'Ein Dokument kann nur Seiten von einem enthalten.',
    next: 'Als zwei Dokumente speichern.',
  },
  'events-gone': {
    what: 'Während diese Seite weg war, ist zu viel geschehen.',
    next: 'Seite neu laden.',
  },
  'sign-in-failed': {
    what: 'Die Anmeldung hat nicht geklappt.',
    next: 'Neu beginnen. Der Hinweis unten sagt vielleicht, warum.',
  },
  'flow-expired': {
    what: 'Diese Anmeldung hat zu lange gedauert.',
    why: 'Sie begann vor mehr als 10 Minuten, oder sie war schon fertig.',
    next: 'Neu beginnen.',
  },
  'provider-failed': {
    what: 'Der Anmeldedienst des Büros hat nicht richtig geantwortet.',
    next: 'Nochmals versuchen. Wenn es bleibt, dem Administrator die Kennung unten nennen.',
  },
  'user-locked': {
    what: 'Diese Person ist gesperrt.',
    why: 'Ein Administrator hat sie gesperrt.',
    next: 'Einen Administrator fragen.',
  },
  'device-grant-pending': {
    what: 'Dieses Programm hat noch niemand erlaubt.',
    next: 'Die Adresse öffnen, die das Programm zeigt, und es dort erlauben.',
  },
  'device-grant-slow-down': {
    what: 'Das Programm fragt zu oft.',
    next: 'Einen Moment warten.',
  },
  'device-grant-denied': {
    what: 'Das Programm wurde abgelehnt.',
    why: 'Jemand hat es abgelehnt, oder sein Code ist abgelaufen.',
    next: 'Das Programm einen neuen Code zeigen lassen.',
  },
  'device-grant-wrong': {
    what: 'Kein Programm wartet mit diesem Code.',
    why: 'Der Code ist vielleicht abgelaufen.',
    next: 'Die Zeichen prüfen, oder das Programm einen neuen Code zeigen lassen.',
  },
  'passkey-not-possible': {
    what: 'An dieser Adresse gibt es keine Passkeys.',
    why: 'Sie brauchen einen Namen und eine verschlüsselte Verbindung.',
    next: 'Diese Seite mit ihrem Namen und https öffnen.',
  },
  'origin-fixed': {
    what: 'Diese Webseite lässt sich hier nicht zurücknehmen.',
    why: 'Sie steht in der Konfiguration oder in einer Lizenz.',
    next: 'Dort ändern.',
  },
  'ticket-invalid': {
    what: 'Dieser Link gilt nicht mehr.',
    why: 'Er wurde benutzt, ist abgelaufen oder gehört zu etwas anderem.',
    next: 'Das Dokument nochmals öffnen.',
  },
  'last-administrator': {
    what: 'Das ist der letzte Administrator.',
    why: 'Ohne ihn könnte niemand diesen Dienst verwalten.',
    next: 'Zuerst jemand anderen zum Administrator machen.',
  },
  'held-for-owner': {
    what: 'Der Scan wartet am Scanner auf die Person, der er gehört.',
    next: 'Den Code am Scanner scannen, oder den Code des Scans dort eingeben.',
  },
  'release-wrong': {
    what: 'Mit diesem Code wartet hier kein Scan.',
    next: 'Die Ziffern prüfen, und ob es der richtige Scanner ist.',
  },
  'node-waiting': {
    what: 'Dieser Scanner-Computer wartet auf seine Zulassung.',
    next: 'Die vier Zeichen vergleichen und ihn am Gateway zulassen.',
  },
  'node-draining': {
    what: 'Der Computer mit diesem Scanner nimmt keine neuen Scans an.',
    why: 'Ein Administrator lässt ihn nur noch fertig werden.',
    next: 'Einen anderen Scanner nehmen oder es später versuchen.',
  },
  'node-quarantined': {
    what: 'Dieser Scanner-Computer ist abgesondert.',
    why: 'Sein Schlüssel wurde von zwei Computern benutzt.',
    next: 'Herausfinden, welcher der richtige ist, dann ihm wieder vertrauen oder ihn sperren.',
  },
  'check-wrong': {
    what: 'Das sind nicht die Zeichen, die das Gateway zeigt.',
    next: 'Beide Bildschirme vergleichen. Bei Unterschieden ist vielleicht jemand dazwischen: nicht zulassen.',
  },
  'rotation-pending': {
    what: 'Ein Schlüsselwechsel läuft schon.',
    next: 'Sein Ende abwarten, oder ihn zuerst verwerfen.',
  },
  'audit-failed': {
    what: 'Im Moment kann nichts Neues begonnen werden.',
    why: 'Das Protokoll lässt sich nicht schreiben.',
    next: 'Dem Administrator sagen, dass er dort Platz schaffen soll.',
  },
  'setup-off': {
    what: 'Die Einrichtungsseite ist ausgeschaltet.',
    next: 'In der Konfigurationsdatei EnableWebSetup=TRUE setzen.',
  },
  'setting-invalid': {
    what: 'Eine Einstellung kann diesen Wert nicht haben.',
    next: 'Den Wert ändern, der unten genannt ist.',
  },
  'setting-fixed': {
    what: 'Diese Einstellung lässt sich hier nicht ändern.',
    why: 'Sie ist beim Start des Dienstes festgelegt.',
    next: 'Dort ändern.',
  },
  'confirmation-needed': {
    what: 'Diese Änderung lässt mehr Leute herein.',
    next: 'Ansehen, was sie bewirkt, dann bestätigen.',
  },
  'change-unknown': {
    what: 'Diese Änderung gibt es nicht mehr, oder sie lässt sich nicht mehr zurücknehmen.',
    next: 'Die Liste der Änderungen nochmals ansehen.',
  },
  'change-on-trial': {
    what: 'Eine andere Änderung wird gerade erprobt.',
    next: 'Sie behalten, oder warten, bis sie von selbst zurückgeht.',
  },
  'certificate-invalid': {
    what: 'Dieses Zertifikat und dieser Schlüssel sind nicht brauchbar.',
    next: 'Der Hinweis unten sagt, warum. Andere Dateien wählen.',
  },
  ...licences,
};

/** What each reason of proto/scan/reason.go means to a person. */
export const reasons: Record<string, ReasonWords> = {
  'feeder-empty': {
    short: 'Einzug leer',
    what: 'Der Einzug ist leer.',
    next: 'Papier einlegen.',
  },
  'jam': {
    short: 'Papierstau',
    what: 'Papierstau.',
    next: 'Abdeckung öffnen, Blatt herausziehen, dieses Blatt und den Rest wieder in den Einzug legen.',
  },
  'cover-open': {
    short: 'Abdeckung offen',
    what: 'Die Abdeckung ist offen.',
    next: 'Abdeckung schließen.',
  },
  'next-sheet': {
    short: 'wartet auf das nächste Blatt',
    what: 'Bereit für das nächste Blatt.',
    next: 'Das nächste Blatt auf das Glas legen.',
  },
  'disk-low': {
    short: 'kein Platz für weitere Seiten',
    what: 'Der Computer mit dem Scanner hat keinen Platz für eine weitere Seite.',
    next: 'Scans speichern und löschen, oder dort Platz schaffen.',
  },
  'offline': {
    short: 'Scanner antwortet nicht',
    what: 'Der Scanner antwortet nicht.',
    next: 'Prüfen, ob er an ist und Kabel oder WLAN funktionieren.',
  },
  'interrupted': {
    short: 'unterbrochen',
    what: 'Der Scanner-Computer wurde mitten im Scan neu gestartet.',
    next: 'Die fehlenden Blätter wieder in den Scanner legen.',
  },
  'busy-elsewhere': {
    short: 'von einem anderen Programm belegt',
    what: 'Ein anderes Programm benutzt den Scanner.',
    next: 'Den Scan dort beenden, dann weitermachen.',
  },
  'warming-up': {
    short: 'wärmt auf',
    what: 'Der Scanner wärmt auf.',
    next: 'Einen Moment warten.',
  },
  'canceled-by-user': {
    short: 'abgebrochen',
    what: 'Der Scan wurde abgebrochen.',
    next: 'Bei Bedarf einen neuen Scan starten.',
  },
  'finished-by-user': {
    short: 'vorzeitig beendet',
    what: 'Der Scan wurde von Hand angehalten.',
    next: 'Seiten dazunehmen, wenn welche fehlen.',
  },
  'device-error': {
    short: 'Fehler am Scanner',
    what: 'Der Scanner hat einen Fehler gemeldet.',
    next: 'Aus- und einschalten, dann nochmals versuchen.',
  },
  'driver-failed': {
    short: 'Scanner-Software stehen geblieben',
    what: 'Die Software des Scanners ist stehen geblieben und wurde neu gestartet.',
    next: 'Die fehlenden Seiten nochmals scannen.',
  },
  'short-page': {
    short: 'Seite zu kurz',
    what: 'Der Scanner hat weniger von einer Seite gesendet als angekündigt. Diese Seite wurde nicht behalten.',
    next: 'Dieses Blatt nochmals scannen.',
  },
  'storage-failed': {
    short: 'Seite nicht gespeichert',
    what: 'Eine Seite konnte nicht gespeichert werden: Der Computer mit dem Scanner kann nicht auf seine Festplatte schreiben.',
    next: 'Die Festplatte prüfen lassen, das letzte Blatt und den Rest wieder einlegen, und fortfahren.',
  },
  'timed-out': {
    short: 'niemand hat geantwortet',
    what: 'Der Scanner hat auf eine Antwort gewartet, und keine kam rechtzeitig.',
    next: 'Die fehlenden Seiten dazunehmen.',
  },
  'access-denied': {
    short: 'kein Zugriff auf den Scanner',
    what: 'Der Scan-Dienst darf diesen Scanner nicht benutzen.',
    next: 'Dem Administrator sagen: Das System verweigert dem Dienst das Gerät.',
  },
  'unsupported': {
    short: 'Einstellungen nicht möglich',
    what: 'Der Scanner hat diese Einstellungen abgelehnt.',
    next: 'Die Einstellungen ändern und nochmals versuchen.',
  },
  'pages-lost': {
    short: 'Seiten verloren',
    what: 'Einige gespeicherte Seiten sind beschädigt oder weg.',
    next: 'Diese Blätter nochmals scannen.',
  },
  'held-for-owner': {
    short: 'wartet auf die Person, der er gehört',
    what: 'Der Scan wartet, bis die Person am Scanner steht, der er gehört.',
    next: 'Den Code am Scanner scannen, oder den Code des Scans dort eingeben.',
  },
  'license': {
    short: 'Lizenz verbraucht',
    what: 'Die Lizenz dieses Scans ist verbraucht oder abgelaufen.',
    next: 'Alle gescannten Seiten lassen sich speichern. Vor dem Rest einen Administrator fragen.',
  },
};
