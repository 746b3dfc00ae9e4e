<?php

declare(strict_types=1);

namespace Pharos;

/** @internal The owner's page: one choice for all modules, what is sent, and the owner's rights. */
final class Page
{
    /** Every text of the page. A host's `$_LANG['pharos_<name>']` replaces it. */
    private const TEXTS = [
        'heading' => 'Telemetry',
        'intro' => 'With your consent %s receives a small report about once a day. This choice is for all of its modules'
            . ' on this server. You can change it at any time, and every module works the same whatever you choose.',
        'off' => 'Off: nothing is sent',
        'license' => 'License: module, version and license status, with a hash of the license key',
        'full' => 'Full: also operating system, architecture and virtualization, versions of PHP, WHMCS, database and web server,'
            . ' how PHP is run (SAPI), and how often features are used',
        'save' => 'Save',
        'choice' => 'What may be sent',
        'saved' => 'Saved.',
        'unsaved' => 'This could not be saved.',
        'unchosen' => 'You have not chosen yet.',
        'address' => 'The reports go to %s, which sees the address of this server and keeps it for 30 days.',
        'policy' => 'Privacy policy of %s.',
        'policy_before' => 'Your choice was about the privacy policy of %s. Save it again to agree to this one.',
        'preview' => 'The next report',
        'preview_off' => 'What Full would send',
        'preview_off_note' => 'Nothing is sent now.',
        'preview_unasked' => 'The cron asks for the license and the platform before it makes a report. Until then they are unknown or'
            . ' missing here.',
        'install_id' => 'The install_id is random. It is the proof for your requests below: keep it to yourself.',
        'log' => 'The last reports',
        'none' => 'None yet.',
        'rights' => 'Your data',
        'rights_intro' => 'These requests go to the collector at once.',
        'access' => 'Show and export what is held',
        'erase' => 'Erase what is held',
        'erase_sure' => 'The collector deletes all reports of this install. This cannot be undone. Later reports are stored'
            . ' again, unless you also choose Off.',
        'rectify' => 'Correct the license',
        'rectify_sure' => 'Say what the license of this module is. What was reported stays; your statement is kept beside it, and a'
            . ' license that you dispute is looked at before anything follows. Operating system and versions are corrected by'
            . ' the next report.',
        'restrict' => 'Restrict: keep what is held, but use it for nothing',
        'restrict_sure' => 'The collector seals all that it holds of this install, and later reports too. Nobody can use it, and it'
            . ' is in no figure, until you lift the restriction.',
        'lift' => 'Lift a restriction or an objection',
        'restricts' => 'You restricted what is held: it is used for nothing until you lift that.',
        'objects' => 'You objected: no report is stored until you lift that, or choose License or Full above.',
        'object' => 'Object: nothing may be stored any more',
        'object_sure' => 'The collector stores no further report of this install, and telemetry is turned off here. What is'
            . ' held already stays until you erase it. A choice of License or Full above takes the objection back.',
        'forget' => 'Erase everything, there and here, and turn telemetry off',
        'forget_sure' => 'The collector deletes all reports of this install. The install_id and all that waits here are'
            . ' deleted too. This cannot be undone.',
        'sure' => 'Yes, do it',
        'explain' => 'Show what would be stored of the next report',
        'progress' => 'Show how far the requests are',
        'requests_none' => 'You have made no requests yet.',
        'sent' => 'The request was received. "Show how far the requests are" shows its result.',
        'failed' => 'That did not work: %s',
        'kept' => 'Nothing more is sent meanwhile if you objected or chose to erase everything. The cron sends the request again'
            . ' until it is received.',
        'busy' => 'A run of the cron is at work. The next one does what you asked for.',
        'token' => 'This page was open for too long. Please try once more.',
        'moved_first' => 'Please answer first, above, whether this installation was moved or is a copy.',
        'nothing' => 'Nothing is held.',
        'export' => 'Download as JSON',
        'state_pending' => 'in progress',
        'state_done' => 'done',
        'state_failed' => 'failed',
        'state_waiting' => 'not received yet; the cron sends it again',
        'state_bad_answer' => 'the answer is too large for this page',
        'state_unknown' => 'no answer; results are kept for seven days',
        'moved_question' => 'This installation is at a new address or in a new folder. Was it moved, or is it a copy of another one?'
            . ' Nothing is sent until you answer.',
        'moved' => 'It was moved',
        'copied' => 'It is a copy',
        'trouble' => 'What is wrong',
        'trouble_folder' => 'This user cannot write the folder for telemetry, so nothing is counted.',
        'trouble_counts_folder' => 'This user cannot write the folder of counts. Give it to the user of the web server.',
        'trouble_disk_full' => 'The disk is full, or was at the last run of the cron.',
        'trouble_counts_lost' => 'In the last seven days counts could not be stored: the disk was full, or the cron did not run.',
        'trouble_cron_rests' => 'The cron has not run for a day.',
        'trouble_cron_never_ran' => 'The cron has not run since the choice. If it should have: in WHMCS save the settings of the module again,'
            . ' so that its hooks are loaded.',
        'trouble_unreadable' => 'The cron cannot read counts of another user. Run it as the user of the web server.',
        'trouble_state_unavailable' => 'The stored state cannot be read, so nothing is sent.',
        'trouble_missing_function' => 'PHP\'s function %s is disabled. Nothing is sent without it; what is counted waits.',
        'trouble_database' => 'The database does not answer.',
        'trouble_objected' => 'You objected at the collector: nothing is counted. A choice of License or Full above takes that back.',
        'trouble_error' => 'The last report was not stored: %s. It is kept and sent again.',
        'trouble_rejected' => 'The collector rejected the last report: %s. It is not sent again; later ones are. Tell the vendor.',
        'trouble_undeclared' => 'The collector does not know this module and stored nothing. Tell the vendor.',
        'trouble_lost_state' => 'The stored state was lost. The install id is the same; what waited is gone.',
        'trouble_lost_counts' => 'A file of counts was cut short.',
        'trouble_lost_line' => 'A count was written only in part, and is lost.',
        'trouble_lost_old' => 'Reports that waited for 29 days were given up.',
        'trouble_unknown_option' => 'The module gives an option that this client does not know: %s. Tell the vendor.',
        'trouble_moved' => 'This installation was moved or copied.',
        'trouble_other' => 'Telemetry does not work: %s',
    ];

    private const ACTIONS = ['access', 'rectify', 'erase', 'object', 'restrict', 'lift'];
    private const SURE = ['rectify', 'restrict', 'object', 'erase', 'forget'];  // what one click must not do
    // It takes the colors of the theme, light or dark, and a narrow screen breaks long buttons.
    private const STYLE = '<style>.pharos form{display:flex;flex-wrap:wrap;gap:8px;margin:0 0 16px}'
        . '.pharos fieldset,.pharos form details{flex-basis:100%;min-width:0;border:0;margin:0;padding:0}'
        . '.pharos legend{border:0;margin:0 0 8px;font-size:inherit;font-weight:bold;color:inherit}'
        . '.pharos .btn{white-space:normal;text-align:left}.pharos .alert{white-space:pre-line}'
        . '.pharos pre{white-space:pre-wrap;overflow-wrap:anywhere;background:none;color:inherit;'
        . 'border:1px solid rgba(128,128,128,.5)}'
        . '.pharos summary{display:list-item;cursor:pointer;margin-bottom:4px}</style>';

    /** @var Module */
    private $module;
    /** @var Install */
    private $install;
    /** @var array<mixed> */
    private $vars;

    /** @param array<mixed> $vars */
    public function __construct(Module $module, Install $install, array $vars)
    {
        $this->module = $module;
        $this->install = $install;
        $this->vars = $vars;
    }

    public function html(): string
    {
        [$message, $shown] = $this->posted();
        return '<div class="pharos">' . self::STYLE . $this->heading($message) . $this->troubles() . $this->moved()
            . $this->choice() . $this->preview() . $this->rights($shown) . $this->log() . '</div>';
    }

    public static function escaped(string $text): string
    {
        return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
    }

    /**
     * Does what a form of this page asks for.
     *
     * @return array{0: string, 1: string} a message, and JSON to show
     */
    private function posted(): array
    {
        $do = $_POST['pharos'] ?? null;
        if (!\is_string($do) || ($_SERVER['REQUEST_METHOD'] ?? '') !== 'POST') {
            return ['', ''];
        }
        if (Quiet::can('check_token')) {
            check_token('WHMCS.admin.default');  // ends the request of a form that is not WHMCS's own
        }
        $token = $_POST['pharos_token'] ?? '';
        if (!\is_string($token) || !hash_equals($this->token(), $token)) {
            return [$this->text('token'), ''];
        }
        switch ($do) {
            case 'choose':
                return [$this->chosen($_POST['level'] ?? ''), ''];
            case 'moved':
            case 'copied':
                return [$this->text($this->install->settle($do) ? 'saved' : 'unsaved'), ''];
            case 'explain':
                return ['', $this->json($this->module->explain())];
            case 'progress':
                return $this->progress($this->module->requests());
            case 'forget':
                return [$this->told($this->module->forget()), ''];
            case 'rectify':
                $status = $_POST['license'] ?? '';
                $license = ['status' => \is_string($status) ? $status : ''];
                $rectify = ['module' => ['name' => $this->module->name()], 'license' => $license];
                return [$this->told($this->module->request($do, $rectify)), ''];
        }
        if (\in_array($do, self::ACTIONS, true)) {
            return [$this->told($this->module->request($do)), ''];
        }
        return ['', ''];
    }

    /** Saves a choice. One that lets reports be stored first takes an objection back. @param mixed $level */
    private function chosen($level): string
    {
        if (($level === 'license' || $level === 'full') && $this->install->objects()) {
            $lifted = $this->module->request('lift');
            if ($lifted->status() !== Result::SENT) {
                return $this->told($lifted);
            }
        }
        return $this->text($this->module->choose($level) ? 'saved' : 'unsaved');
    }

    /**
     * @param array<int, array<string, mixed>> $requests
     * @return array{0: string, 1: string}
     */
    private function progress(array $requests): array
    {
        if ($requests === []) {
            return [$this->text('requests_none'), ''];
        }
        $lines = [];
        foreach ($requests as $turn => $request) {
            $known = isset(self::TEXTS["state_{$request['state']}"]) ? $request['state'] : 'unknown';
            $requests[$turn]['at'] = gmdate('Y-m-d\TH:i:s\Z', (int) ($request['at'] ?? 0));
            $lines[] = gmdate('Y-m-d H:i', (int) ($request['at'] ?? 0)) . ' UTC, '
                . $this->text(\in_array($request['action'], self::ACTIONS, true) ? $request['action'] : 'rights') . ': '
                . $this->text("state_$known");
        }
        return [implode("\n", $lines), $this->json($requests)];
    }

    private function told(Result $result): string
    {
        if ($result->status() === Result::SENT) {
            return $this->text('sent');
        }
        $reason = $result->reason() ?? $result->status();
        $said = ['nothing_held' => 'nothing', Result::BUSY => 'busy', Result::MOVED => 'moved_first'][$reason] ?? '';
        if ($said !== '') {
            return $this->text($said);
        }
        return $this->text('failed', $reason) . ($result->kept() ? "\n" . $this->text('kept') : '');
    }

    private function heading(string $message): string
    {
        $html = '<h2>' . self::escaped($this->text('heading') . ': ' . $this->module->title()) . '</h2>';
        return $html . ($message === '' ? '' : '<div class="alert alert-info" role="status">' . self::escaped($message) . '</div>');
    }

    private function troubles(): string
    {
        $items = '';
        foreach ($this->module->troubles() as $trouble) {
            [$word, $detail] = explode(' ', $trouble, 2) + [1 => ''];
            $name = isset(self::TEXTS["trouble_$word"]) ? "trouble_$word" : 'trouble_other';
            $items .= '<li>' . self::escaped($this->text($name, $detail === '' ? $word : $detail)) . '</li>';
        }
        return $items === '' ? '' : '<div class="alert alert-warning"><strong>'
            . self::escaped($this->text('trouble')) . "</strong><ul>$items</ul></div>";
    }

    private function moved(): string
    {
        if (!$this->install->asks()) {
            return '';
        }
        return $this->form(
            '<fieldset><legend>' . self::escaped($this->text('moved_question')) . '</legend></fieldset>' . $this->button('moved') . $this->button('copied')
        );
    }

    private function choice(): string
    {
        $level = $this->install->chosen() ? $this->module->level() : '';
        $intro = '<p>' . self::escaped($this->text('intro', Config::VENDOR)) . '</p>';
        if ($level === '') {
            $intro .= '<p><strong>' . self::escaped($this->text('unchosen')) . '</strong></p>';
        }
        $html = '<fieldset><legend>' . self::escaped($this->text('choice')) . '</legend>';
        foreach (['off', 'license', 'full'] as $each) {
            $checked = $each === $level ? ' checked' : '';
            $html .= "<div class=\"radio\"><label><input type=\"radio\" name=\"level\" value=\"$each\"$checked required> "
                . self::escaped($this->text($each)) . '</label></div>';
        }
        $policy = $this->module->policy();
        $notes = $this->text('address', Config::COLLECTOR) . ($policy === '' ? '' : ' ' . $this->text('policy', $policy));
        $before = $this->install->policy();
        if (\in_array($level, ['license', 'full'], true) && $before !== '' && $before !== $policy) {
            $notes .= ' ' . $this->text('policy_before', $before);
        }
        $html .= '<p>' . self::escaped($notes) . '</p></fieldset>';
        return $intro . $this->form($html . $this->button('choose', $this->text('save')));
    }

    private function preview(): string
    {
        $off = $this->module->level() === 'off';
        $notes = ($off ? $this->text('preview_off_note') . ' ' : '')
            . ($this->install->asked($this->module) ? '' : $this->text('preview_unasked') . ' ') . $this->text('install_id');
        return '<h3>' . self::escaped($this->text($off ? 'preview_off' : 'preview')) . '</h3>'
            . $this->block($this->json($this->module->preview())) . '<p>' . self::escaped($notes) . '</p>'
            . ($off ? '' : $this->form($this->button('explain')));
    }

    private function rights(string $shown): string
    {
        $html = '<h3>' . self::escaped($this->text('rights')) . '</h3><p>' . self::escaped($this->text('rights_intro')) . '</p>';
        foreach (['restricts' => $this->install->restricts(), 'objects' => $this->install->objects()] as $held => $holds) {
            $html .= $holds ? '<p><strong>' . self::escaped($this->text($held)) . '</strong></p>' : '';
        }
        $buttons = '';
        foreach (['access', 'progress', 'lift'] as $do) {
            $buttons .= $this->button($do);
        }
        $licenses = '';
        foreach (Module::LICENSES as $license) {
            $licenses .= "<option>$license</option>";
        }
        foreach (self::SURE as $do) {
            $label = self::escaped($this->text($do));
            $buttons .= "<details><summary>$label</summary><p>" . self::escaped($this->text("{$do}_sure")) . '</p>'
                . ($do === 'rectify' ? "<select name=\"license\" aria-label=\"$label\">$licenses</select> " : '')
                . $this->button($do, $this->text('sure')) . '</details>';
        }
        $html .= $this->form($buttons);
        if ($shown === '') {
            return $html;
        }
        $data = 'data:application/json;base64,' . base64_encode($shown);
        return $html . $this->block($shown) . "<p><a download=\"telemetry.json\" href=\"$data\">"
            . self::escaped($this->text('export')) . '</a></p>';
    }

    private function log(): string
    {
        $html = '<h3>' . self::escaped($this->text('log')) . '</h3>';
        $entries = $this->module->log();
        if ($entries === []) {
            return $html . '<p>' . self::escaped($this->text('none')) . '</p>';
        }
        foreach ($entries as $entry) {
            $head = gmdate('Y-m-d H:i', (int) ($entry['at'] ?? 0)) . ' UTC: ' . ($entry['status'] ?? '')
                . (empty($entry['reason']) ? '' : " ({$entry['reason']})");
            $html .= '<details><summary>' . self::escaped($head) . '</summary>'
                . $this->block($this->json($entry['beacons'] ?? [])) . '</details>';
        }
        return $html;
    }

    private function block(string $text): string
    {
        return '<pre>' . self::escaped($text) . '</pre>';
    }

    private function form(string $inside): string
    {
        $link = $this->vars['modulelink'] ?? '';
        $theirs = Quiet::can('generate_token') ? (string) generate_token('form') : '';
        return '<form method="post" action="' . self::escaped(\is_string($link) ? $link : '') . "\">$theirs"
            . "<input type=\"hidden\" name=\"pharos_token\" value=\"{$this->token()}\">$inside</form>";
    }

    private function button(string $do, string $label = ''): string
    {
        return "<button type=\"submit\" class=\"btn btn-default\" name=\"pharos\" value=\"$do\">"
            . self::escaped($label ?: $this->text($do)) . '</button> ';
    }

    /** Ties a form to the session that it was shown in. */
    private function token(): string
    {
        $session = Quiet::can('session_id') ? (string) session_id() : '';
        return hash_hmac('sha256', "$session " . $this->module->name(), Config::KEY);
    }

    private function text(string $name, string $value = ''): string
    {
        $own = $this->vars['_lang']["pharos_$name"] ?? null;
        return str_replace('%s', $value, \is_string($own) ? $own : self::TEXTS[$name]);
    }

    /** @param array<mixed> $value */
    private function json(array $value): string
    {
        return (string) json_encode($value, JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
    }
}
