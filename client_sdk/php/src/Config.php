<?php

declare(strict_types=1);

namespace Pharos;

/** What `pharos sdk` fills in. */
final class Config
{
    public const VENDOR = 'Vendor';
    public const COLLECTOR = 'https://telemetry.example.com';
    public const KEY = 'ingest-key';
    public const VERSION = '1.0.0';
}
