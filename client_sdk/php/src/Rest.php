<?php

declare(strict_types=1);

namespace Pharos;

/**
 * @internal The second file: what the cron and the owner's page need, and a page that only counts does not. Its classes are
 * in a namespace that is named by the text of both files, so a file of another version is as good as none.
 */
final class Rest
{
    /** @var string[] where it may be: beside each copy of the first file */
    public static $files = [];

    public static function load(): bool
    {
        while (!self::loaded() && self::$files !== []) {
            $file = array_shift(self::$files);
            $buffer = Quiet::can('ob_start') && Quiet::can('ob_end_clean') && ob_start();
            Quiet::run(static function () use ($file): void {
                is_file($file) && include $file;  // a file that is half copied is an exception
            }, null);
            $buffer && ob_end_clean();
        }
        return self::loaded();
    }

    private static function loaded(): bool
    {
        return class_exists(Install::class, false);
    }
}
