"""`pharos rights`: an owner's requests about a server's data, made by the operator on the owner's behalf."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from pharos.context import fail, load_settings, open_home


@click.group()
def rights() -> None:
    """Owners' requests about their data: access, erase, rectify, object, restrict, lift."""


@rights.command("request")
@click.argument("action")
@click.argument("install_id")
@click.option("--rectify", metavar="JSON", help="Corrections for the action rectify, written as in a beacon.")
def rights_request(action: str, install_id: str, rectify: str | None) -> None:
    """Request an ACTION on the data of INSTALL_ID. Prints only the ticket, once."""
    from collector.catalog_filter import allowed_corrections
    from collector.planes import Planes
    from collector.problems import Refused
    from collector.rights.api import ask, parse
    from collector.rights.request_store import Full, RequestStore
    from collector.spool import Spool, Unavailable
    from core.catalog import watch

    settings = load_settings()
    home = open_home(settings)
    try:
        given: dict[str, Any] = {"install_id": install_id, "action": action}
        if rectify is not None:
            given["rectify"] = json.loads(rectify)
        install_id, action, module, corrections = parse(given)
    except ValueError:
        fail("--rectify must be JSON")
    except Refused as refused:
        fail(f"{refused.why.path or 'the request'} {refused.why.detail}")
    spool = Spool(home.spool)
    try:
        corrections = allowed_corrections(corrections, watch(settings, home)(), datetime.now(UTC).date())
        planes = Planes(home.root_secret(settings))
        click.echo(ask(RequestStore(spool), planes, install_id, action, module, corrections))
    except (Full, Unavailable) as error:
        fail(str(error) or "too many requests are waiting")
    finally:
        spool.close()


@rights.command("status")
@click.argument("ticket")
def rights_status(ticket: str) -> None:
    """Print the state and result of the request with TICKET, as JSON."""
    from collector.rights.api import request_status
    from collector.rights.request_store import RequestStore
    from collector.spool import Spool

    spool = Spool(open_home().spool)
    found = request_status(RequestStore(spool), ticket)
    spool.close()
    if found is None:
        fail("the request does not exist, or has expired")
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


@rights.command("list")
def rights_list() -> None:
    """List requests, newest first: id, action, state, time of receipt, time of completion. Shows no requester."""
    from collector.rights.request_store import RequestStore
    from collector.spool import Spool

    spool = Spool(open_home().spool)
    for each in RequestStore(spool).all():
        click.echo(f"{each.public:016x}  {each.action:8}  {each.state:7}  {_time(each.received)}  {_time(each.done)}")
    spool.close()


@rights.command("decisions")
def rights_decisions() -> None:
    """Print the owners' decisions as JSON, for `pharos restore --decisions`. The output names nobody."""
    import msgspec

    from collector.rights.request_store import RequestStore
    from collector.spool import Spool

    spool = Spool(open_home().spool)
    click.echo(msgspec.json.encode(RequestStore(spool).kept()))
    spool.close()


def _time(moment: int | None) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else "-"
