"""The sample addon under stubs of WHMCS's documented functions, real PHP and a real MariaDB."""

from __future__ import annotations

import json
import subprocess

import pytest

from pharos import sdk
from tests.client_php.paper import DAY, KEY, LICENSE_KEY, LOUD, Collector, misfits
from tests.client_php.test_counting import uses
from tests.client_php.whmcs_host import SAMPLE, Whmcs


def test_the_guide_leads_from_nothing_to_a_beacon(whmcs: Whmcs, collector: Collector) -> None:
    """Activate, choose on the page, use a feature, run the cron: the beacon has arrived and the page shows it."""
    activated = whmcs.run("echo json_encode(pharos_sample_activate());")
    assert activated["status"] == "success"
    assert whmcs.run("echo json_encode(pharos_sample_config());")["version"] == "1.0.0"
    whmcs.run("run_hook('InvoicePaid'); echo 1;")
    whmcs.cron()
    assert collector.requests == []
    assert "You have not chosen yet" in whmcs.page()
    assert "Saved." in whmcs.page(pharos="choose", level="full")
    whmcs.run("run_hook('InvoicePaid'); run_hook('InvoicePaid'); echo 1;")
    log = whmcs.cron()
    [beacon] = collector.beacons
    assert misfits(beacon) == []
    assert beacon["features"]["sample.invoice_paid"] == 2
    assert beacon["platform"]["whmcs"] == "9.0.1-release.1"
    assert beacon["platform"]["database"].startswith("mariadb-1")
    assert beacon["license"]["status"] == "unknown"
    assert len(beacon["license"]["key_hash"]) == 64
    assert len(log) == 1
    for text in (KEY, beacon["install_id"], LICENSE_KEY):
        assert text not in log[0]
    page = whmcs.page()
    assert "The last reports" in page
    assert beacon["beacon_id"] in page
    assert "What is wrong" not in page


def test_fifty_requests_at_a_time_lose_nothing(whmcs: Whmcs, collector: Collector) -> None:
    """50 processes × 1,000 counts in the database, with crons beside, are exactly 50,000."""
    whmcs.page(pharos="choose", level="full")
    whmcs.cron()
    code = (
        "for ($i = 0; $i < 1000; $i++) { pharos_sample_pharos()->count('sample.export');"
        " if ($i % 100 === 99) { pharos_sample_pharos()->flush() || exit('lost'); usleep(20000); } } echo 1;"
    )
    worker = whmcs.script(code, "worker")
    workers = [
        subprocess.Popen(["php", *LOUD, str(worker)], stdout=subprocess.PIPE, env=whmcs.environ()) for _ in range(50)
    ]
    crons = 0
    while any(one.poll() is None for one in workers):
        whmcs.shift += DAY
        whmcs.cron()
        crons += 1
    assert {one.communicate()[0] for one in workers} == {b"1"}
    for _ in range(3):  # a busy machine may have opened the breaker
        whmcs.shift += DAY
        whmcs.cron()
    assert crons > 1
    assert uses(collector, "sample.export") == 50_000
    assert whmcs.sql("SELECT COUNT(*) FROM mod_acme_pharos_counts") == [["0"]]


def test_a_page_does_not_wait_for_the_cron_s_transaction(whmcs: Whmcs, collector: Collector) -> None:
    """While the cron deletes the rows that it has read, and has not committed yet, a page stores its counts."""
    whmcs.page(pharos="choose", level="full")
    whmcs.cron()
    for _ in range(5):
        whmcs.run("run_hook('InvoicePaid'); echo 1;")
    whmcs.sql(
        "CREATE TRIGGER slow BEFORE INSERT ON mod_acme_pharos FOR EACH ROW"
        " BEGIN IF NEW.name = 'state.bak' THEN DO GET_LOCK('slow', 600); END IF; END"
    )
    lock = "$p->query(\"SELECT GET_LOCK('slow', 0)\"); echo 'ok'; flush(); fgets(STDIN);"
    holder = f"$p = new PDO(getenv('TEST_DSN'), 'root', ''); {lock}"
    cron = whmcs.script("run_hook('AfterCronJob');", "cron")
    env = whmcs.environ()
    with subprocess.Popen(["php", "-r", holder], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.read(2) == b"ok"
        with subprocess.Popen(["php", *LOUD, str(cron)], env=env) as running:
            try:
                waiting = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User lock'"
                while whmcs.sql(waiting) != [["1"]]:
                    assert running.poll() is None
                assert whmcs.run("run_hook('InvoicePaid'); echo json_encode(pharos_sample_pharos()->flush());") is True
            finally:
                other.communicate()
    whmcs.sql("DROP TRIGGER slow")
    whmcs.shift += DAY
    whmcs.cron()
    assert uses(collector, "sample.invoice_paid") == 6


def test_a_request_inserts_one_row_and_a_page_without_counts_none(whmcs: Whmcs) -> None:
    """However many features a request counts, it is one row."""
    whmcs.page(pharos="choose", level="full")
    whmcs.cron()
    before = whmcs.sql("SELECT COUNT(*) FROM mod_acme_pharos_counts")[0][0]
    whmcs.run('for ($i = 0; $i < 20; $i++) { pharos_sample_pharos()->count("sample.f$i"); } echo 1;')
    whmcs.run("pharos_sample_pharos(); echo 1;")
    after = whmcs.sql("SELECT COUNT(*) FROM mod_acme_pharos_counts")[0][0]
    assert int(after or 0) == int(before or 0) + 1


def test_vendors_with_long_names_share_no_table(whmcs: Whmcs, collector: Collector) -> None:
    """Vendors whose names begin alike each have tables, with a name as long as one may be."""
    vendors = ["A" * 39 + last for last in "bc"]
    code = ""
    for vendor in vendors:
        (whmcs.root / f"{vendor}.php").write_text(sdk.php(vendor, collector.url, KEY))
        code += (
            f"require {str(whmcs.root / vendor)!r} . '.php';"
            f"$c = {vendor}\\Pharos\\Whmcs::module('m', ['consent' => 'full']);"
            "$c->count('export'); $stored[] = $c->flush();"
        )
    assert whmcs.run(code + "echo json_encode($stored);") == [True, True]
    tables = [[f"mod_{vendor.lower()}_pharos_counts"] for vendor in vendors]
    assert whmcs.sql("SHOW TABLES LIKE 'mod%'") == tables


def test_a_table_of_counts_is_bounded(whmcs: Whmcs, collector: Collector) -> None:
    """Where the cron did not come for 60,000 requests no more is counted, and the page says so for a week."""
    whmcs.page(pharos="choose", level="full")
    whmcs.cron()
    whmcs.sql("INSERT INTO mod_acme_pharos_counts (id, line) VALUES (1000, '{}'), (70000, '{}')")
    count = "run_hook('InvoicePaid'); $c = pharos_sample_pharos(); echo json_encode([$c->flush(), $c->troubles()]);"
    assert whmcs.run(count) == [False, ["counts_lost"]]
    whmcs.cron()
    assert whmcs.run(count) == [True, ["counts_lost"]]
    whmcs.shift += 8 * DAY
    whmcs.cron()
    assert whmcs.run("echo json_encode(pharos_sample_pharos()->troubles());") == []
    assert uses(collector, "sample.invoice_paid") == 1


def test_the_choice_off_leaves_no_table_of_counts(whmcs: Whmcs, collector: Collector) -> None:
    """Refusing deletes what was counted and sends nothing; the addon's pages work the same."""
    whmcs.page(pharos="choose", level="full")
    whmcs.run("run_hook('InvoicePaid'); echo 1;")
    whmcs.page(pharos="choose", level="off")
    assert whmcs.run("run_hook('InvoicePaid'); echo json_encode(pharos_sample_pharos()->flush());") is False
    whmcs.cron()
    assert collector.requests == []
    assert whmcs.sql("SHOW TABLES LIKE 'mod_acme%'") == [["mod_acme_pharos"]]


def test_a_broken_state_row_keeps_the_identity(whmcs: Whmcs, collector: Collector) -> None:
    """An emptied row of state is replaced by its copy, then by the id: never a new install."""
    whmcs.page(pharos="choose", level="full")
    whmcs.cron()
    whmcs.sql("UPDATE mod_acme_pharos SET value = '' WHERE name = 'state'")
    whmcs.shift += DAY
    whmcs.cron()
    whmcs.sql("UPDATE mod_acme_pharos SET value = '' WHERE name IN ('state', 'state.bak')")
    whmcs.shift += DAY
    whmcs.cron()
    assert len(collector.beacons) == 3
    assert len({beacon["install_id"] for beacon in collector.beacons}) == 1


def test_a_moved_whmcs_asks(whmcs: Whmcs, collector: Collector) -> None:
    """Another SystemURL stops the beacons until the administrator answers; no address is stored."""
    whmcs.page(pharos="choose", level="full")
    whmcs.cron()
    whmcs.sql("UPDATE tblconfiguration SET value = 'https://staging.example.com/' WHERE setting = 'SystemURL'")
    whmcs.shift += DAY
    whmcs.cron()
    assert len(collector.requests) == 1
    assert "Was it moved" in whmcs.page()
    whmcs.page(pharos="copied")
    whmcs.cron()
    first, second = collector.beacons
    assert first["install_id"] != second["install_id"]
    stored = json.dumps(whmcs.sql("SELECT * FROM mod_acme_pharos"))
    assert "example.com" not in stored.replace("telemetry.example.com", "")


@pytest.mark.parametrize("forget", ["", "on"])
def test_deactivation_says_goodbye_or_forgets(whmcs: Whmcs, collector: Collector, forget: str) -> None:
    """_deactivate sends a last beacon, or erases everything if the owner set that."""
    whmcs.page(pharos="choose", level="full")
    whmcs.cron()
    whmcs.sql(f"INSERT INTO tbladdonmodules VALUES ('pharos_sample', 'forget', '{forget}')")
    if forget:
        collector.will_answer(202, json.dumps({"request": "t", "status": "/v1/rights/ticket-1"}))
    assert whmcs.run("echo json_encode(pharos_sample_deactivate());")["status"] == "success"
    assert len(collector.requests) == 2
    if forget:
        assert json.loads(collector.requests[1].body)["action"] == "erase"
        documents = {row[0] for row in whmcs.sql("SELECT name FROM mod_acme_pharos")}
        assert documents == {"choice", "requests"}
    else:
        assert collector.requests[1].beacon["reason"] == "deactivate"


@pytest.mark.parametrize("level", ["first", "choice"])
def test_a_transaction_of_the_host_stays_the_host_s(whmcs: Whmcs, collector: Collector, level: str) -> None:
    """Nothing that the client does commits what the host has begun: the host can take it back."""
    whmcs.sql("CREATE TABLE theirs (id INT) ENGINE=InnoDB")
    client = "$c = Acme\\Pharos\\Whmcs::module('pharos_sample', ['consent' => 'full', 'version' => '1.0.0']);"
    act = "$c->count('sample.export'); $c->flush();" if level == "first" else "$c->choose('full');"
    code = (
        f"{client} $pdo = WHMCS\\Database\\Capsule::connection()->getPdo(); $pdo->beginTransaction();"
        f"$pdo->exec('INSERT INTO theirs VALUES (1)'); {act} $pdo->rollBack(); echo 1;"
    )
    assert whmcs.run(code) == 1
    assert whmcs.sql("SELECT * FROM theirs") == []
    assert whmcs.run(f"{client} $c->count('sample.export'); echo json_encode($c->flush());") is True


ROWS = "SELECT 1 FROM {} RIGHT JOIN mod_acme_pharos ON TRUE FOR UPDATE"


@pytest.mark.parametrize("lock", ["LOCK TABLES {} READ", "LOCK TABLES {} WRITE", "FLUSH TABLES WITH READ LOCK", ROWS])
def test_another_process_s_locks_hold_no_page(whmcs: Whmcs, collector: Collector, lock: str) -> None:
    """While another process locks tables or rows a page and a cron end, with the host's bounds; then both work."""
    whmcs.page(pharos="choose", level="full")
    whmcs.cron()
    tables = lock.format("mod_acme_pharos_counts") + (", mod_acme_pharos WRITE" if "WRITE" in lock else "")
    wait = "$p->beginTransaction(); $p->query($argv[1]); echo 'ok'; flush(); fgets(STDIN);"
    dump = f"$p = new PDO(getenv('TEST_DSN'), 'root', ''); {wait}"
    bounds = "SELECT CONCAT(@@lock_wait_timeout, \\' \\', @@innodb_lock_wait_timeout)"
    bound = f"WHMCS\\Database\\Capsule::connection()->getPdo()->query('{bounds}')->fetchColumn()"
    code = (
        f"$said = [{bound}]; run_hook('InvoicePaid'); run_hook('AfterCronJob'); $c = pharos_sample_pharos();"
        f"$c->count('sample.export'); $said[] = $c->flush(); $said[] = {bound}; echo json_encode($said);"
    )
    with subprocess.Popen(
        ["php", "-r", dump, tables], env=whmcs.environ(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.read(2) == b"ok"
            before, stored, after = whmcs.run(code)
        finally:
            other.communicate()
    assert (stored, after) == (False, before)
    assert min(map(int, before.split())) > 1
    assert whmcs.run(code)[1:] == [True, before]


def test_a_database_that_is_away_costs_the_page_nothing(whmcs: Whmcs, collector: Collector) -> None:
    """Without a database counting and the cron fail in silence, and the page still opens."""
    code = "putenv('TEST_DSN=mysql:unix_socket=/nowhere'); run_hook('InvoicePaid'); run_hook('AfterCronJob');"
    code += (
        "$_SERVER['REQUEST_METHOD'] = 'GET'; ob_start(); pharos_sample_output([]); echo json_encode(ob_get_clean());"
    )
    assert whmcs.run(code).startswith("<")


def test_the_german_page_is_whole(whmcs: Whmcs) -> None:
    """The German language file has every text of the page and no other, and the page takes them."""
    lang = f"$_ADDONLANG = []; require {str(whmcs.addon / 'lang' / 'german.php')!r}; ob_start();"
    page = whmcs.run(f"{lang} pharos_sample_output(['_lang' => $_ADDONLANG]); echo json_encode(ob_get_clean());")
    assert "Sie haben noch nicht gewählt." in page
    names = whmcs.run(
        f"{lang} $rest = end($loaded) . '\\Rest'; $rest::load(); $c = new ReflectionClass(end($loaded) . '\\Page');"
        "$texts = $c->getConstant('TEXTS'); ob_end_clean(); $odd = [];"
        "foreach ($_ADDONLANG as $name => $text) { isset($texts[substr($name, 7)]) || $odd[] = $name; }"
        'foreach ($texts as $name => $text) { isset($_ADDONLANG["pharos_$name"]) || $odd[] = $name; }'
        "echo json_encode($odd);"
    )
    assert names == []


def test_the_addon_has_what_whmcs_asks_for() -> None:
    """The manifest is JSON, and no two file names differ by case alone."""
    assert json.loads((SAMPLE / "whmcs.json").read_text())["name"] == "pharos_sample"
    names = [str(path.relative_to(SAMPLE)) for path in SAMPLE.rglob("*")]
    assert len({name.lower() for name in names}) == len(names)
