<?php

if (!defined('WHMCS')) {
    die('This file cannot be accessed directly');
}

$_ADDONLANG['pharos_heading'] = 'Telemetrie';
$_ADDONLANG['pharos_intro'] = 'Mit Ihrer Einwilligung erhält %s etwa einmal am Tag einen kleinen Bericht. Ihre Wahl gilt für alle Module'
    . ' von %s auf diesem WHMCS. Sie können sie jederzeit ändern, und jedes Modul arbeitet gleich, wie auch immer Sie wählen.';
$_ADDONLANG['pharos_off'] = 'Aus: nichts wird gesendet';
$_ADDONLANG['pharos_license'] = 'Lizenz: Modul, Version und Stand der Lizenz, mit einem Hash des Lizenzschlüssels';
$_ADDONLANG['pharos_full'] = 'Voll: auch Betriebssystem, Architektur und Virtualisierung, Versionen von PHP, WHMCS, Datenbank'
    . ' und Webserver, wie PHP ausgeführt wird (SAPI), und wie oft Funktionen benutzt werden';
$_ADDONLANG['pharos_save'] = 'Speichern';
$_ADDONLANG['pharos_saved'] = 'Gespeichert.';
$_ADDONLANG['pharos_unsaved'] = 'Das konnte nicht gespeichert werden.';
$_ADDONLANG['pharos_unchosen'] = 'Sie haben noch nicht gewählt.';
$_ADDONLANG['pharos_address'] = 'Die Berichte gehen an %s. Der Empfänger sieht die Adresse dieses Servers und behält sie 30 Tage lang.';
$_ADDONLANG['pharos_choice'] = 'Was gesendet werden darf';
$_ADDONLANG['pharos_policy'] = 'Datenschutzerklärung %s.';
$_ADDONLANG['pharos_policy_before'] = 'Ihre Wahl galt der Datenschutzerklärung %s. Speichern Sie noch einmal, um dieser zuzustimmen.';
$_ADDONLANG['pharos_preview'] = 'Der nächste Bericht';
$_ADDONLANG['pharos_preview_off'] = 'Was „Voll“ senden würde';
$_ADDONLANG['pharos_preview_off_note'] = 'Jetzt wird nichts gesendet.';
$_ADDONLANG['pharos_preview_unasked'] = 'Der Cron fragt nach der Lizenz und nach den Versionen von WHMCS und Datenbank, bevor er einen'
    . ' Bericht macht. Bis dahin fehlen sie hier oder sind unbekannt.';
$_ADDONLANG['pharos_install_id'] = 'Die install_id ist zufällig. Sie weist Ihre Anträge unten aus: Behalten Sie sie für sich.';
$_ADDONLANG['pharos_log'] = 'Die letzten Berichte';
$_ADDONLANG['pharos_none'] = 'Noch keine.';
$_ADDONLANG['pharos_rights'] = 'Ihre Daten';
$_ADDONLANG['pharos_rights_intro'] = 'Diese Anträge gehen sofort an den Empfänger.';
$_ADDONLANG['pharos_access'] = 'Zeigen und ausgeben, was gespeichert ist';
$_ADDONLANG['pharos_erase'] = 'Löschen, was gespeichert ist';
$_ADDONLANG['pharos_erase_sure'] = 'Der Empfänger löscht alle Berichte dieser Installation. Das lässt sich nicht rückgängig machen.'
    . ' Spätere Berichte werden wieder gespeichert, wenn Sie nicht auch „Aus“ wählen.';
$_ADDONLANG['pharos_rectify'] = 'Die Lizenz berichtigen';
$_ADDONLANG['pharos_rectify_sure'] = 'Sagen Sie, welche Lizenz dieses Modul hat. Was berichtet wurde, bleibt; Ihre Aussage steht daneben, und'
    . ' eine Lizenz, die Sie bestreiten, wird angesehen, bevor etwas folgt. Betriebssystem und Versionen berichtigt der nächste Bericht.';
$_ADDONLANG['pharos_restrict'] = 'Einschränken: behalten, was gespeichert ist, aber für nichts verwenden';
$_ADDONLANG['pharos_restrict_sure'] = 'Der Empfänger versiegelt alles, was er von dieser Installation hat, und auch spätere Berichte. Niemand kann'
    . ' es verwenden, und es ist in keiner Zahl, bis Sie die Einschränkung aufheben.';
$_ADDONLANG['pharos_lift'] = 'Eine Einschränkung oder einen Widerspruch aufheben';
$_ADDONLANG['pharos_restricts'] = 'Sie haben eingeschränkt, was gespeichert ist: Es wird für nichts verwendet, bis Sie das aufheben.';
$_ADDONLANG['pharos_objects'] = 'Sie haben widersprochen: Kein Bericht wird gespeichert, bis Sie das aufheben oder oben „Lizenz“ oder „Voll“ wählen.';
$_ADDONLANG['pharos_object'] = 'Widersprechen: nichts darf mehr gespeichert werden';
$_ADDONLANG['pharos_object_sure'] = 'Der Empfänger speichert keinen weiteren Bericht dieser Installation, und die Telemetrie wird'
    . ' hier ausgeschaltet. Was schon gespeichert ist, bleibt, bis Sie es löschen. „Lizenz“ oder „Voll“ oben nimmt den Widerspruch zurück.';
$_ADDONLANG['pharos_forget'] = 'Dort und hier alles löschen und Telemetrie ausschalten';
$_ADDONLANG['pharos_forget_sure'] = 'Der Empfänger löscht alle Berichte dieser Installation. Auch die install_id und alles, was hier'
    . ' wartet, wird gelöscht. Das lässt sich nicht rückgängig machen.';
$_ADDONLANG['pharos_sure'] = 'Ja, ausführen';
$_ADDONLANG['pharos_explain'] = 'Zeigen, was vom nächsten Bericht gespeichert würde';
$_ADDONLANG['pharos_progress'] = 'Zeigen, wie weit die Anträge sind';
$_ADDONLANG['pharos_requests_none'] = 'Sie haben noch keine Anträge gestellt.';
$_ADDONLANG['pharos_state_pending'] = 'in Arbeit';
$_ADDONLANG['pharos_state_done'] = 'erledigt';
$_ADDONLANG['pharos_state_failed'] = 'gescheitert';
$_ADDONLANG['pharos_state_waiting'] = 'noch nicht angekommen; der Cron sendet ihn noch einmal';
$_ADDONLANG['pharos_state_bad_answer'] = 'die Antwort ist zu groß für diese Seite';
$_ADDONLANG['pharos_state_unknown'] = 'keine Antwort; Ergebnisse werden sieben Tage lang aufbewahrt';
$_ADDONLANG['pharos_sent'] = 'Der Antrag ist angekommen. „Zeigen, wie weit die Anträge sind“ zeigt sein Ergebnis.';
$_ADDONLANG['pharos_failed'] = 'Das hat nicht geklappt: %s';
$_ADDONLANG['pharos_kept'] = 'Inzwischen wird nichts mehr gesendet, wenn Sie widersprochen oder alles gelöscht haben. Der Cron sendet den'
    . ' Antrag noch einmal, bis er angekommen ist.';
$_ADDONLANG['pharos_busy'] = 'Der Cron läuft gerade. Sein nächster Lauf führt aus, was Sie verlangt haben.';
$_ADDONLANG['pharos_token'] = 'Diese Seite war zu lange offen. Bitte versuchen Sie es noch einmal.';
$_ADDONLANG['pharos_moved_first'] = 'Bitte sagen Sie zuerst, oben, ob dieses WHMCS umgezogen ist oder eine Kopie ist.';
$_ADDONLANG['pharos_nothing'] = 'Nichts ist gespeichert.';
$_ADDONLANG['pharos_export'] = 'Als JSON herunterladen';
$_ADDONLANG['pharos_moved_question'] = 'Dieses WHMCS hat eine neue Adresse oder einen neuen Ordner. Ist es umgezogen, oder ist es eine'
    . ' Kopie? Bis Sie antworten, wird nichts gesendet.';
$_ADDONLANG['pharos_moved'] = 'Es ist umgezogen';
$_ADDONLANG['pharos_copied'] = 'Es ist eine Kopie';
$_ADDONLANG['pharos_trouble'] = 'Was nicht stimmt';
$_ADDONLANG['pharos_trouble_cron_never_ran'] = 'Der Cron ist seit der Wahl nicht gelaufen. Wenn er es sollte: Speichern Sie in WHMCS die Einstellungen des'
    . ' Moduls noch einmal, damit seine Hooks geladen werden.';
$_ADDONLANG['pharos_trouble_cron_rests'] = 'Der Cron ist seit einem Tag nicht gelaufen.';
$_ADDONLANG['pharos_trouble_error'] = 'Der letzte Bericht wurde nicht gespeichert: %s. Er bleibt erhalten und wird noch einmal gesendet.';
$_ADDONLANG['pharos_trouble_folder'] = 'Dieser Benutzer kann den Ordner der Telemetrie nicht beschreiben, deshalb wird'
    . ' nichts gezählt.';
$_ADDONLANG['pharos_trouble_counts_folder'] = 'Dieser Benutzer kann den Ordner der Zählungen nicht beschreiben. Geben Sie ihn'
    . ' dem Benutzer des Webservers.';
$_ADDONLANG['pharos_trouble_disk_full'] = 'Die Festplatte ist voll, oder sie war es beim letzten Lauf des Crons.';
$_ADDONLANG['pharos_trouble_counts_lost'] = 'In den letzten sieben Tagen gingen Zählungen verloren: Die Festplatte war voll,'
    . ' oder der Cron lief nicht.';
$_ADDONLANG['pharos_trouble_unreadable'] = 'Der Cron kann Zählungen eines anderen Benutzers nicht lesen. Führen Sie ihn als'
    . ' Benutzer des Webservers aus.';
$_ADDONLANG['pharos_trouble_state_unavailable'] = 'Der gespeicherte Stand ist nicht lesbar, deshalb wird nichts gesendet.';
$_ADDONLANG['pharos_trouble_missing_function'] = 'Die PHP-Funktion %s ist abgeschaltet. Ohne sie wird nichts gesendet; was'
    . ' gezählt ist, wartet.';
$_ADDONLANG['pharos_trouble_database'] = 'Die Datenbank antwortet nicht.';
$_ADDONLANG['pharos_trouble_objected'] = 'Sie haben beim Empfänger widersprochen: Nichts wird gezählt. „Lizenz“ oder „Voll“'
    . ' oben nimmt das zurück.';
$_ADDONLANG['pharos_trouble_rejected'] = 'Der Empfänger hat den letzten Bericht abgelehnt: %s. Er wird nicht noch einmal gesendet;'
    . ' spätere werden es. Sagen Sie es dem Anbieter.';
$_ADDONLANG['pharos_trouble_undeclared'] = 'Der Empfänger kennt dieses Modul nicht und hat nichts gespeichert. Sagen Sie es dem Anbieter.';
$_ADDONLANG['pharos_trouble_lost_state'] = 'Der gespeicherte Stand ging verloren. Die install_id ist dieselbe; was wartete,'
    . ' ist fort.';
$_ADDONLANG['pharos_trouble_lost_counts'] = 'Eine Datei mit Zählungen wurde abgeschnitten.';
$_ADDONLANG['pharos_trouble_lost_line'] = 'Eine Zählung wurde nur zum Teil geschrieben und ist verloren.';
$_ADDONLANG['pharos_trouble_lost_old'] = 'Berichte, die 29 Tage gewartet haben, wurden aufgegeben.';
$_ADDONLANG['pharos_trouble_unknown_option'] = 'Das Modul gibt eine Option an, die dieser Client nicht kennt: %s. Sagen Sie es dem Anbieter.';
$_ADDONLANG['pharos_trouble_moved'] = 'Dieses WHMCS wurde umgezogen oder kopiert.';
$_ADDONLANG['pharos_trouble_other'] = 'Die Telemetrie arbeitet nicht: %s';
