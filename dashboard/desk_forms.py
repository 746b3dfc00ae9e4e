"""The forms of the cases: decide, undo, look a key up, try the webhook. Each answers with the page to go on with.

They are plain forms, so that they work on any device and need no script. Whoever was slower than a colleague gets a 409
that says what the colleague did, and the own note back.
"""

import re
from urllib.parse import urlencode

from flask import Flask, Response, abort, make_response, redirect, render_template, request
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from core.access_log import AccessLogError
from core.fields import FIELDS
from core.license_keys import key_hash
from dashboard.case_words import STATES
from dashboard.casework import Casework, Decision, NoSuchCase
from dashboard.data_source import asker
from dashboard.formatting import moment
from dashboard.login import token_matches
from dashboard.pages.case.installs import LONGEST_KEY
from dashboard.pages.desk.choices import address
from dashboard.permissions import LICENSING
from dashboard.webhook import Webhook
from warehouse.cases.listing import MOST_KEYS
from warehouse.cases.revisions import Conflict
from warehouse.cases.subjects import subject_of
from warehouse.engine import EngineError
from warehouse.queries.metrics import QueryError

DECIDE, UNDO = "/licensing/decide", "/licensing/undo"
LOOK_UP, FIND_KEYS = "/licensing/look-up", "/licensing/find-keys"
WEBHOOK = "/licensing/webhook-test"
MOST_BACK = 2000
_KEY_HASH = re.compile(next(field.pattern for field in FIELDS if field.path == "license.key_hash"), re.ASCII)


def register(server: Flask, casework: Casework, webhook: Webhook | None = None) -> None:
    """Add the targets of the forms. They require a login with a role that may see the license plane."""

    @server.before_request
    def check() -> AnyResponse | None:
        if request.path not in (DECIDE, UNDO, LOOK_UP, FIND_KEYS, WEBHOOK):
            return None
        if current_user.role not in LICENSING:
            abort(403)
        if request.method == "POST" and not token_matches():
            return _page(400, "Nothing was changed", "This page was open for too long. Go back and reload it.")
        return None

    @server.post(DECIDE)
    def decide() -> AnyResponse:
        seen = _seen(request.form.get("cases", ""))
        state, assignee = request.form.get("state", ""), request.form.get("assignee", "")
        if request.form.get("mine"):
            assignee = current_user.name
        note = request.form.get("note", "").replace("\r\n", "\n")
        decision = Decision(state or None, {"": None, "-": ""}.get(assignee, assignee), note)
        if not seen:
            return _page(422, "Nothing was changed", "No case was chosen. Go back and choose one.", note)
        try:
            if request.form.get("one"):
                ((name, revision),) = seen.items()
                made = casework.decide(asker(), name, revision, decision)
                return redirect(f"/licensing/{name}?{urlencode({'done': 1, 'undo': made.change})}", 303)
            outcome = casework.decide_all(asker(), seen, decision)
        except Conflict as conflict:
            return _conflict(conflict, note)
        except NoSuchCase:
            return _page(404, "There is no such case", "It was erased with its install, or forgotten.", note)
        except QueryError as error:
            back = _case(next(iter(seen))) if request.form.get("one") else "/licensing"
            return _page(422, "Nothing was changed", f"The {error.param} {error.detail}.", note, back)
        except (EngineError, AccessLogError):
            return _page(503, "Nothing was changed", "ClickHouse or the access log does not answer. Try again.", note)
        lost = {"lost": len(outcome.conflicts)} if outcome.conflicts else {}
        told = {"done": len(outcome.done), **lost, **({"undo": outcome.change} if outcome.done else {})}
        return redirect(_back(request.form.get("back", ""), told), 303)

    @server.post(UNDO)
    def undo() -> AnyResponse:
        try:
            outcome = casework.undo(asker(), request.form.get("change", ""))
        except (EngineError, AccessLogError):
            return _page(503, "Nothing was undone", "ClickHouse or the access log does not answer. Try again.")
        if not outcome.done and outcome.conflicts:
            return _conflict(outcome.conflicts[0], "")
        back = request.form.get("back", "")
        if name := next((str(one.subject) for one in outcome.done if str(one.subject) == back), ""):
            return redirect(f"/licensing/{name}?undone=1", 303)
        lost = {"lost": len(outcome.conflicts)} if outcome.conflicts else {}
        return redirect(address({"undone": str(len(outcome.done)), **lost}), 303)

    @server.post(LOOK_UP)
    def look_up() -> AnyResponse:
        name, given = request.form.get("case", ""), _hash_of(request.form.get("key", "").strip())
        if given is None:
            text = "Enter a license key, or its SHA-256: 64 hexadecimal digits."
            return _page(422, "This is neither a key nor its hash", text, to=_case(name))
        try:
            found = casework.look_up(asker(), name, given)
        except NoSuchCase:
            return _page(404, "There is no such case", "It was erased with its install, or forgotten.")
        except (EngineError, AccessLogError):
            return _page(503, "Nothing was looked up", "ClickHouse or the access log does not answer. Try again.")
        return redirect(f"/licensing/{name}?{urlencode({'key': found})}#key", 303)

    @server.post(FIND_KEYS)
    def find_keys() -> AnyResponse:
        lines = [line.strip() for line in request.form.get("keys", "").splitlines() if line.strip()]
        if not 0 < len(lines) <= MOST_KEYS:
            return _page(422, "No key was looked up", f"Enter one to {MOST_KEYS} license keys, one a line.")
        hashes = []
        for number, line in enumerate(lines, 1):
            if (given := _hash_of(line)) is None:
                text = f"Key {number} is neither a license key nor its SHA-256: 64 hexadecimal digits."
                return _page(422, "No key was looked up", text)
            hashes.append(given)
        try:
            found = casework.find_keys(asker(), hashes)
        except AccessLogError:
            return _page(503, "No key was looked up", "The access log does not answer. Try again.")
        return redirect(address({"state": "all", "key": found}), 303)

    @server.post(WEBHOOK)
    def webhook_test() -> AnyResponse:
        if webhook is None:
            abort(404)
        try:
            became = webhook.test(current_user.name, current_user.role)
        except AccessLogError:
            return _page(503, "Nothing was sent", "The access log does not answer. Try again.")
        return _page(200, "A test event was sent", f"The receiver: {became}.")


def _hash_of(text: str) -> str | None:
    """Return the hash of a license key; None if the text is neither a key nor a hash. A hash is returned as it is."""
    if _KEY_HASH.fullmatch(text.lower()):
        return text.lower()
    # Too few or too many digits of a hash would be another key, which nobody has.
    if not 0 < len(text) <= LONGEST_KEY or not text.isprintable() or re.fullmatch(r"[0-9A-Fa-f]{40,}", text):
        return None
    return key_hash(text)


def _case(name: str) -> str:
    """Return the path of the case with this name, or of the list."""
    return f"/licensing/{found}" if (found := subject_of(name)) else "/licensing"


def _seen(text: str) -> dict[str, int]:
    """Return the revisions by case, of `case:revision` with commas between."""
    found = re.findall(r"([a-z0-9_.]+):([0-9]{1,9})(?:,|$)", text[:100_000], re.ASCII)
    return {name: int(revision) for name, revision in found}


def _back(query: str, told: dict[str, object]) -> str:
    """Return the address of the list with the query that it had."""
    kept = query if len(query) <= MOST_BACK and re.fullmatch(r"[A-Za-z0-9_.,=&%+-]*", query, re.ASCII) else ""
    return "/licensing?" + "&".join(part for part in (kept, urlencode(told)) if part)


def _conflict(conflict: Conflict, note: str) -> Response:
    theirs = conflict.theirs
    text = f"{theirs.who} was faster ({moment(theirs.at)}): the state is now {STATES[theirs.state].lower()}, "
    text += f"assigned to {theirs.assignee or 'nobody'}. Your change was not made."
    return _page(409, "A colleague was faster", text, note, f"/licensing/{theirs.subject}", theirs.note)


def _page(status: int, title: str, text: str, note: str = "", to: str = "/licensing", theirs: str = "") -> Response:
    html = render_template("case_message.html", title=title, text=text, note=note, to=to, theirs=theirs)
    return make_response(html, status)
