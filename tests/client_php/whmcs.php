<?php

// What the sample addon and the client use of WHMCS, as WHMCS documents it.

namespace WHMCS\Database {
    final class Capsule
    {
        /** @var ?\PDO */
        public static $pdo = null;

        public static function connection(): self
        {
            return new self();
        }

        public function getPdo(): \PDO
        {
            return self::$pdo = self::$pdo ?? new \PDO(\getenv('TEST_DSN'), 'root', '', [
                \PDO::ATTR_ERRMODE => \PDO::ERRMODE_EXCEPTION, \PDO::ATTR_EMULATE_PREPARES => false,
            ]);
        }

        public static function table(string $name): Query
        {
            return new Query($name);
        }
    }

    final class Query
    {
        private $sql;
        private $values = [];

        public function __construct(string $table)
        {
            $this->sql = "FROM $table WHERE 1";
        }

        public function where(string $column, string $value): self
        {
            $this->sql .= " AND $column = ?";
            $this->values[] = $value;
            return $this;
        }

        public function value(string $column)
        {
            $statement = Capsule::connection()->getPdo()->prepare("SELECT $column $this->sql LIMIT 1");
            $statement->execute($this->values);
            $value = $statement->fetchColumn();
            return $value === false ? null : $value;
        }
    }
}

namespace {
    \define('WHMCS', true);
    \define('ROOTDIR', \getenv('TEST_ROOT') ?: '/srv/whmcs');
    $GLOBALS['hooks'] = [];
    $GLOBALS['module_log'] = [];

    function add_hook($name, $priority, $call)
    {
        $GLOBALS['hooks'][$name][] = $call;
    }

    function run_hook($name, $vars = [])
    {
        foreach ($GLOBALS['hooks'][$name] ?? [] as $call) {
            $call($vars);
        }
    }

    function logModuleCall($module, $action, $request, $response, $processed = '', $replace = [])
    {
        $GLOBALS['module_log'][] = \str_replace($replace, '***', \json_encode([$module, $action, $request, $response, $processed]));
    }

    function generate_token($type)
    {
        return '<input type="hidden" name="token" value="whmcs">';
    }

    function check_token($where)
    {
        if (($_POST['token'] ?? '') !== 'whmcs') {
            exit('Invalid Token');
        }
    }
}
