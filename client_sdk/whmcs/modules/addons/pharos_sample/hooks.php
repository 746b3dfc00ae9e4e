<?php

if (!defined('WHMCS')) {
    die('This file cannot be accessed directly');
}

require_once __DIR__ . '/pharos.php';

add_hook('AfterCronJob', 1, static function () {
    pharos_sample_pharos()->tick();
});

add_hook('InvoicePaid', 1, static function ($vars) {
    pharos_sample_pharos()->count('sample.invoice_paid');
});
