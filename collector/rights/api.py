"""`/v1/rights`: requests of a server's owner about its data.

The install_id proves ownership. The ticket is the receipt. A stored request does not identify its owner: the ticket is
stored as a hash, and the data needed to carry out the request is deleted when it is done. The ticket alone gives access
to the result of `access`.
"""

import hashlib
import re
import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from collector import request_body
from collector.catalog_filter import allowed_corrections
from collector.planes import Planes
from collector.problems import Refused
from collector.rights.encryption import decrypt
from collector.rights.install_states import InstallState
from collector.rights.request_store import Full, RequestStore
from collector.spool import Group, Spool, Unavailable
from collector.validate import Reason, Rejected, type_of
from core import client_address
from core.catalog import Catalog
from core.fields import FIELDS, OBJECTS, UUID, value_schema
from core.home import Home, derive
from core.settings import Settings

ACTIONS = ("access", "erase", "rectify", "object", "restrict", "lift")
MEMBERS = ("install_id", "action", "rectify")
PER_MINUTE = 60  # requests from one address: each costs a commit and needs no key
RETRY_SECONDS = 5
_TICKET = re.compile(r"\A[A-Za-z0-9_-]{43}\Z")

# The fields that can be corrected: those that a plane stores as they were sent.
CORRECTABLE = {
    field.path: field
    for field in FIELDS
    if field.kind == "string"
    and (field.usage or field.license)
    and field.path not in ("module.name", "license.key_hash")
}
# The number of unused pseudonyms that an erasure retires in each plane, together with the install's own.
DECOYS = 4

_MODULE = next(field for field in FIELDS if field.path == "module.name")

Corrections = dict[str, dict[str, str]]


def blueprint(settings: Settings, home: Home, planes: Planes, catalog: Callable[[], Catalog]) -> Blueprint:
    """Return the routes of `/v1/rights`."""
    routes = Blueprint("rights", __name__)

    @routes.post("/v1/rights")
    def post_rights() -> Response:
        with request_body.read_json(request.environ) as value:
            install_id, action, module, corrections = parse(value)
        corrections = allowed_corrections(corrections, catalog(), datetime.now(UTC).date())
        address = client_address.address(request.environ, settings.trusted_proxies)
        spool = Spool(home.spool)
        try:
            spool.check_space()
            limits = [(f"rights {planes.limited(address)}", PER_MINUTE)] if address else []
            limits.append(("rights", settings.rights_rate_limit))
            if spool.count(Group([], tuple(limits)), 1):
                raise Refused(Rejected(Reason.RATE_LIMITED, detail="too many requests"), {"Retry-After": "60"})
            ticket = ask(RequestStore(spool), planes, install_id, action, module, corrections)
        except (Full, Unavailable) as error:
            detail = str(error) or "too many requests are waiting"
            raise Refused(Rejected(Reason.UNAVAILABLE, detail=detail), {"Retry-After": "30"}) from None
        finally:
            spool.close()
        return _json(202, {"request": ticket, "status": f"/v1/rights/{ticket}"})

    @routes.get("/v1/rights/<ticket>")
    def get_rights(ticket: str) -> Response:
        spool = Spool(home.spool)
        try:
            found = request_status(RequestStore(spool), ticket)
        finally:
            spool.close()
        if found is None:
            raise Refused(Rejected(Reason.NOT_FOUND, detail="the request does not exist or is no longer stored"))
        answer = _json(200, found)
        if found["state"] == "pending":
            answer.headers["Retry-After"] = str(RETRY_SECONDS)
        return answer

    return routes


def ask(
    store: RequestStore,
    planes: Planes,
    install_id: str,
    action: str,
    module: str,
    corrections: Corrections,
) -> str:
    """Store a request on disk; returns its ticket, which cannot be shown again. Raises `Full` and `Unavailable`."""
    ticket = _new_ticket()
    who = planes.who(install_id)

    def work(state: InstallState) -> dict[str, Any]:
        pseudonyms, following = (
            planes.pseudonyms(uuid.UUID(install_id).bytes, epoch) for epoch in (state.epoch, state.epoch + 1)
        )
        return {
            "who": who,
            "usage": pseudonyms["usage"],
            "license": pseudonyms["license"],
            "source": pseudonyms["source"],
            "batches": {plane: str(uuid.uuid4()) for plane in ("usage", "license", "sealed")},
            "sealing_key": planes.sealing_key(install_id).hex(),
            "result_key": _result_key(ticket).hex(),
            "next": following,
            "decoys": {plane: [secrets.randbits(64) for _ in range(DECOYS)] for plane in pseudonyms},
            "later": [],
            "decisions": {"objected": state.objected, "restricted": state.restricted},
            "module": module,
            "corrections": corrections,
        }

    store.add(_hash(ticket), secrets.randbits(63), action, who, datetime.now(UTC).timestamp(), work)
    return ticket


def request_status(store: RequestStore, ticket: str) -> dict[str, Any] | None:
    """Return `{"state", "action", "result"}` of the request with this ticket, or None if it does not exist."""
    found = store.find(_hash(ticket)) if _TICKET.match(ticket) else None
    if found is None:
        return None
    request, result = found
    return {
        "state": request.state,
        "action": request.action,
        "result": decrypt(_result_key(ticket), result) if result else None,
    }


def parse(value: Any) -> tuple[str, str, str, Corrections]:
    """Parse a request: the install_id, the action, and for `rectify` the module ("" for all) and the corrected columns.

    Raises `Refused`.
    """
    try:
        if not isinstance(value, dict):
            raise Rejected(Reason.WRONG_TYPE, detail="must be an object")
        for name in value:
            if name not in MEMBERS:
                raise Rejected(Reason.UNKNOWN_FIELD, "", f"the fields of a request are {', '.join(MEMBERS)}")
        install_id, action = (_text(value, name) for name in ("install_id", "action"))
        if not re.fullmatch(UUID, install_id, re.ASCII):
            raise Rejected(Reason.BAD_FORMAT, "install_id", "must be a UUID")
        if action not in ACTIONS:
            raise Rejected(Reason.BAD_FORMAT, "action", f"must be one of {', '.join(ACTIONS)}")
        if ("rectify" in value) != (action == "rectify"):
            reason = Reason.UNKNOWN_FIELD if "rectify" in value else Reason.MISSING_FIELD
            raise Rejected(reason, "rectify", "must be present for the action rectify, and for no other")
        return (install_id, action, *_corrections(value.get("rectify", {}), action))
    except Rejected as rejected:
        raise Refused(rejected) from None


def request_schema() -> dict[str, Any]:
    """Return the JSON Schema of a request."""
    corrections = _closed_object(min_properties=1)
    for path, field in {**CORRECTABLE, "module.name": _MODULE}.items():
        *parents, name = path.split(".")
        place = corrections
        for parent in parents:
            place = place["properties"].setdefault(parent, _closed_object(min_properties=1))
        place["properties"][name] = value_schema(field)
    # `module.name` selects rows. Alone it corrects nothing.
    version = {"properties": {"module": {"required": ["version"]}}, "required": ["module"]}
    corrections["anyOf"] = [version, *({"required": [name]} for name in ("license", "server", "platform"))]
    corrections["description"] = "Corrected fields, as in a beacon. module.name selects the module to correct."
    install_id = value_schema(next(field for field in FIELDS if field.path == "install_id"))
    others = [action for action in ACTIONS if action != "rectify"]
    return {
        "oneOf": [
            {**_closed_object(), "required": ["install_id", "action"],
             "properties": {"install_id": install_id, "action": {"type": "string", "enum": others}}},
            {**_closed_object(), "required": ["install_id", "action", "rectify"],
             "properties": {"install_id": install_id, "action": {"const": "rectify"}, "rectify": corrections}},
        ]
    }  # fmt: skip


def _closed_object(min_properties: int = 0) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "minProperties": min_properties, "properties": {}}


def _text(value: dict[str, Any], name: str) -> str:
    if name not in value:
        raise Rejected(Reason.MISSING_FIELD, name, "is required")
    if not isinstance(value[name], str):
        raise Rejected(Reason.WRONG_TYPE, name, "must be str")
    return str(value[name])


def _corrections(value: Any, action: str) -> tuple[str, Corrections]:
    """Parse the corrected fields, which have the form of a beacon. `module.name` selects the module to correct.

    Fields of `usage` are corrected. Fields of `license` become the owner's statement.
    """
    corrections: Corrections = {"usage": {}, "license": {}}
    module = ""
    for name, given in _leaves(value, ""):
        path = f"rectify.{name}"
        field = _MODULE if name == _MODULE.path else CORRECTABLE.get(name)
        if field is None:
            raise Rejected(Reason.UNKNOWN_FIELD, "rectify", f"the correctable fields are {', '.join(CORRECTABLE)}")
        try:
            msgspec.convert(given, type_of(field))
        except msgspec.ValidationError:
            reason = Reason.BAD_FORMAT if isinstance(given, str) else Reason.WRONG_TYPE
            raise Rejected(reason, path, "is not valid in a beacon") from None
        if field is _MODULE:
            module = given
            continue
        # The license plane holds evidence. A correction of it is stored as a statement and changes no row.
        plane, column = ("license", field.license) if field.license else ("usage", field.usage)
        corrections[plane][column] = given
    if action == "rectify" and not any(corrections.values()):
        raise Rejected(Reason.MISSING_FIELD, "rectify", "must name a field to correct")
    return module, corrections


def _leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    """Return the (dotted path, value) of each field below the objects of a beacon."""
    if not isinstance(value, dict):
        raise Rejected(Reason.WRONG_TYPE, f"rectify.{path}".rstrip("."), "must be object")
    if path and not value:
        raise Rejected(Reason.MISSING_FIELD, f"rectify.{path}", "is empty")
    found: list[tuple[str, Any]] = []
    for name, inner in value.items():
        below = f"{path}.{name}".lstrip(".")
        found += _leaves(inner, below) if below in OBJECTS else [(below, inner)]
    return found


def _new_ticket() -> str:
    """Return a ticket that `pharos rights status` does not take for an option: one in 64 would begin with a hyphen."""
    while (ticket := secrets.token_urlsafe(32)).startswith("-"):
        pass
    return ticket


def _hash(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()


def _result_key(ticket: str) -> bytes:
    return derive(ticket.encode(), "result of a request")


def _json(status: int, value: Any) -> Response:
    return Response(msgspec.json.encode(value), status, content_type="application/json")
